//! From a method and a path to what the caller registered for them. A tree by segment; it knows no endpoint.
//!
//! | pattern segment | matches |
//! |---|---|
//! | `rooms` | this text, after decoding |
//! | `{room}` | any one segment that is not empty |
//! | `{rest*}` (last only) | one or more segments, each the name of a file (see [`Path::file_from`]) |
//! | nothing, after a final slash | the empty segment: `/pushrules/` is not `/pushrules` |

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hyper::Method;
use thiserror::Error;

use crate::net::target::Path;
use crate::net::target::TargetError;

/// A pattern that cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It does not start with a slash, has a brace in a literal, an empty name, or `{rest*}` before its end.
    #[error("{pattern} is not a pattern")]
    Malformed {
        /// The pattern.
        pattern: String,
    },
    /// The same pattern, whatever the names in it, is there for that method.
    #[error("{method} {pattern} is registered twice")]
    Twice {
        /// The method.
        method: Method,
        /// The pattern.
        pattern: String,
    },
}

/// Targets by method and path. `T` is the user's: an enum, a function pointer.
#[derive(Debug)]
pub struct Router<T> {
    root: Node<T>,
}

/// What a request is routed to.
#[derive(Debug, PartialEq, Eq)]
pub enum Routed<'r, T> {
    /// A target, and what its pattern captured.
    Found(&'r T, Captures),
    /// No pattern has this path: 404.
    NotFound,
    /// The path exists for these methods only: 405, with [`allow`] as the header `Allow`.
    MethodNotAllowed(Vec<Method>),
    /// The path cannot be decoded: 400.
    Malformed(TargetError),
}

/// The value of the header `Allow` for these methods.
pub fn allow(methods: &[Method]) -> String {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.join(", ")
}

/// The captured segments, decoded, in the order of the pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct Captures {
    names: Arc<[Box<str>]>,
    values: Vec<String>,
}

impl Captures {
    /// The segment captured under a name of the pattern.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|other| **other == *name)?;
        self.values.get(at).map(String::as_str)
    }

    /// The captured segments.
    pub fn values(&self) -> &[String] {
        &self.values
    }
}

/// Captures are ids of rooms and people: logs show none.
impl fmt::Debug for Captures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Captures({:?})", self.names)
    }
}

#[derive(Debug)]
struct Node<T> {
    literals: HashMap<Box<str>, Node<T>>,
    capture: Option<Box<Node<T>>>,
    rest: Vec<Leaf<T>>,
    leaves: Vec<Leaf<T>>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            capture: None,
            rest: Vec::new(),
            leaves: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Leaf<T> {
    method: Method,
    names: Arc<[Box<str>]>,
    target: T,
}

/// One segment of a pattern.
enum Piece<'a> {
    Literal(&'a str),
    Capture(&'a str),
    Rest(&'a str),
}

impl<'a> Piece<'a> {
    fn parse(segment: &'a str) -> Option<Self> {
        let Some(name) = segment.strip_prefix('{') else {
            return (!segment.contains(['{', '}'])).then_some(Self::Literal(segment));
        };
        let name = name.strip_suffix('}')?;
        let (name, is_rest) = match name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_name = !name.is_empty() && !name.contains(['{', '}', '*']);
        is_name.then_some(if is_rest {
            Self::Rest(name)
        } else {
            Self::Capture(name)
        })
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Router<T> {
    /// A router that finds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a target for a method and a pattern such as `/_matrix/client/v3/rooms/{room}/messages`.
    ///
    /// A path with two names (`r0`, `v3`) is two patterns.
    ///
    /// # Errors
    /// [`PatternError`]; the router may then have empty places on the way to the pattern, which match nothing.
    pub fn insert(&mut self, method: Method, pattern: &str, target: T) -> Result<(), PatternError> {
        let malformed = || PatternError::Malformed {
            pattern: pattern.to_owned(),
        };
        let mut segments = pattern
            .strip_prefix('/')
            .ok_or_else(malformed)?
            .split('/')
            .peekable();
        let mut names: Vec<Box<str>> = Vec::new();
        let mut node = &mut self.root;
        let mut is_rest = false;
        while let Some(segment) = segments.next() {
            match Piece::parse(segment).ok_or_else(malformed)? {
                Piece::Literal(text) => node = node.literals.entry(text.into()).or_default(),
                Piece::Capture(name) => {
                    names.push(name.into());
                    node = node.capture.get_or_insert_default();
                }
                Piece::Rest(name) => {
                    if segments.peek().is_some() {
                        return Err(malformed());
                    }
                    names.push(name.into());
                    is_rest = true;
                }
            }
        }
        let leaves = if is_rest {
            &mut node.rest
        } else {
            &mut node.leaves
        };
        if leaves.iter().any(|leaf| leaf.method == method) {
            return Err(PatternError::Twice {
                method,
                pattern: pattern.to_owned(),
            });
        }
        leaves.push(Leaf {
            method,
            names: names.into(),
            target,
        });
        Ok(())
    }

    /// What a request is for.
    ///
    /// Of several patterns that match, the one with a literal at the first difference wins, and a `{rest*}` loses to
    /// all others; one that has not the method gives way to the next. `HEAD` finds the target of `GET` where it has none.
    pub fn route(&self, method: &Method, path: &Result<Path, TargetError>) -> Routed<'_, T> {
        let path = match path {
            Ok(path) => path,
            Err(error) => return Routed::Malformed(*error),
        };
        let mut search = Search {
            method,
            path,
            captured: Vec::new(),
            allowed: Vec::new(),
        };
        if let Some(leaf) = search.descend(&self.root, 0) {
            let values = search.captured.into_iter().map(str::to_owned).collect();
            let names = Arc::clone(&leaf.names);
            return Routed::Found(&leaf.target, Captures { names, values });
        }
        if search.allowed.is_empty() {
            return Routed::NotFound;
        }
        if search.allowed.contains(&Method::GET) && !search.allowed.contains(&Method::HEAD) {
            search.allowed.push(Method::HEAD);
        }
        Routed::MethodNotAllowed(search.allowed)
    }
}

/// One walk through the tree. It visits a node at most once, so it is bounded by the patterns, whatever the path.
struct Search<'a> {
    method: &'a Method,
    path: &'a Path,
    captured: Vec<&'a str>,
    /// The methods of the patterns that matched.
    allowed: Vec<Method>,
}

impl Search<'_> {
    /// The leaf for the segments from `at` on, below a node. `captured` is as before when there is none.
    fn descend<'r, T>(&mut self, node: &'r Node<T>, at: usize) -> Option<&'r Leaf<T>> {
        let Some(segment) = self.path.segment(at) else {
            return self.pick(&node.leaves);
        };
        if let Some(next) = node.literals.get(segment)
            && let Some(leaf) = self.descend(next, at + 1)
        {
            return Some(leaf);
        }
        if let Some(next) = &node.capture
            && !segment.is_empty()
        {
            self.captured.push(segment);
            if let Some(leaf) = self.descend(next, at + 1) {
                return Some(leaf);
            }
            self.captured.pop();
        }
        if node.rest.is_empty() {
            return None;
        }
        let file = self.path.file_from(at)?;
        let leaf = self.pick(&node.rest)?;
        self.captured.push(file);
        Some(leaf)
    }

    fn pick<'r, T>(&mut self, leaves: &'r [Leaf<T>]) -> Option<&'r Leaf<T>> {
        let of = |method: &Method| leaves.iter().find(|leaf| leaf.method == *method);
        let found = of(self.method);
        let found = match *self.method {
            Method::HEAD => found.or_else(|| of(&Method::GET)),
            _ => found,
        };
        if found.is_none() {
            for leaf in leaves {
                if !self.allowed.contains(&leaf.method) {
                    self.allowed.push(leaf.method.clone());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::PatternError;
    use super::Routed;
    use super::Router;
    use super::allow;
    use crate::net::target::Path;

    const GET: Method = Method::GET;
    const PUT: Method = Method::PUT;
    const POST: Method = Method::POST;

    fn router() -> Router<&'static str> {
        let mut router = Router::new();
        for (method, pattern, target) in [
            (GET, "/", "root"),
            (GET, "/pushrules/", "pushrules"),
            (GET, "/rooms/{room}/messages", "messages"),
            (PUT, "/rooms/{room}/state/{type}/{key}", "state"),
            (PUT, "/rooms/{room}/state/{type}/", "state without key"),
            (GET, "/rooms/{id}/state/{kind}/{key}", "read state"),
            (GET, "/rooms/public/messages", "public messages"),
            (POST, "/rooms/{room}/{action}", "action"),
            (GET, "/web/{file*}", "file"),
            (GET, "/web/index", "index"),
        ] {
            router.insert(method, pattern, target).unwrap();
        }
        router
    }

    /// The target and the captures, or the answer in one word.
    fn route(method: &Method, path: &str) -> String {
        let router = router();
        match router.route(method, &Path::parse(path)) {
            Routed::Found(target, captures) => format!("{target} {:?}", captures.values()),
            Routed::NotFound => "404".to_owned(),
            Routed::MethodNotAllowed(methods) => format!("405 {}", allow(&methods)),
            Routed::Malformed(error) => format!("400 {error}"),
        }
    }

    #[test]
    fn captures_are_decoded_segments_in_their_order() {
        let put = route(&PUT, "/rooms/%21a%3Ah/state/m.room.name/a%2Fb");

        assert_eq!(put, r#"state ["!a:h", "m.room.name", "a/b"]"#);
    }

    #[test]
    fn names_belong_to_the_pattern_that_was_found() {
        let router = router();

        let path = Path::parse("/rooms/!a/state/t/k");
        let Routed::Found(_, captures) = router.route(&GET, &path) else {
            panic!("not found");
        };
        assert_eq!(captures.get("id"), Some("!a"));
        assert_eq!(captures.get("kind"), Some("t"));
        assert_eq!(captures.get("room"), None);
    }

    #[test]
    fn a_final_slash_is_a_pattern_of_its_own() {
        assert_eq!(route(&GET, "/pushrules/"), "pushrules []");
        assert_eq!(route(&GET, "/pushrules"), "404");
        assert_eq!(
            route(&PUT, "/rooms/!a/state/t/"),
            r#"state without key ["!a", "t"]"#
        );
        assert_eq!(route(&GET, "/"), "root []");
        assert_eq!(route(&GET, "//"), "404");
    }

    #[test]
    fn a_literal_wins_over_a_capture_if_it_has_the_method() {
        assert_eq!(route(&GET, "/rooms/public/messages"), "public messages []");
        assert_eq!(
            route(&GET, "/rooms/other/messages"),
            r#"messages ["other"]"#
        );
        assert_eq!(
            route(&POST, "/rooms/public/messages"),
            r#"action ["public", "messages"]"#
        );
        assert_eq!(
            route(&GET, "/rooms/public/state/t/k"),
            r#"read state ["public", "t", "k"]"#
        );
    }

    #[test]
    fn an_unknown_path_and_an_unknown_method_are_told_apart() {
        assert_eq!(route(&GET, "/rooms/!a/nothing/there"), "404");
        assert_eq!(route(&GET, "/rooms/!a/nothing"), "405 POST");
        assert_eq!(route(&PUT, "/rooms/!a/messages"), "405 GET, POST, HEAD");
        assert_eq!(route(&POST, "/rooms/!a/state/t/k"), "405 PUT, GET, HEAD");
    }

    #[test]
    fn head_is_get() {
        assert_eq!(route(&Method::HEAD, "/pushrules/"), "pushrules []");
    }

    #[test]
    fn an_empty_segment_is_no_capture() {
        assert_eq!(route(&GET, "/rooms//messages"), "404");
    }

    #[test]
    fn a_rest_is_the_name_of_a_file() {
        assert_eq!(route(&GET, "/web/js/app.js"), r#"file ["js/app.js"]"#);
        assert_eq!(route(&GET, "/web/index"), "index []");
        for trick in [
            "/web/../x",
            "/web/%2e%2e/x",
            "/web//x",
            "/web/a%2f..%2fx",
            "/web/",
        ] {
            assert_eq!(route(&GET, trick), "404", "{trick}");
        }
        assert_eq!(route(&GET, "/web/a%00"), "400 the path has a NUL byte");
        assert_eq!(route(&PUT, "/web/a"), "405 GET, HEAD");
    }

    #[test]
    fn patterns_are_checked() {
        let mut router = router();

        for pattern in [
            "",
            "a",
            "/{}",
            "/{*}",
            "/{rest*}/a",
            "/a{b}",
            "/{a}b",
            "/{a}}",
        ] {
            assert_eq!(
                router.insert(GET, pattern, "no"),
                Err(PatternError::Malformed {
                    pattern: pattern.to_owned()
                })
            );
        }
        assert_eq!(
            router.insert(GET, "/rooms/{other}/messages", "again"),
            Err(PatternError::Twice {
                method: GET,
                pattern: "/rooms/{other}/messages".to_owned()
            })
        );
    }

    #[test]
    fn a_long_path_costs_no_more_than_the_patterns_are_deep() {
        let path = "/rooms".repeat(20_000);

        assert_eq!(route(&GET, &path), "404");
    }
}
