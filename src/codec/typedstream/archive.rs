//! A decoded stream: flat tables that borrow from its bytes. Not a tree: objects name each other by number, so that
//! sharing costs nothing, cycles are harmless and dropping does not recurse.

use std::fmt;
use std::ops::Range;

use crate::base::limits;

/// A whole stream.
#[derive(Default)]
pub struct Archive<'a> {
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) groups: Vec<Group<'a>>,
    pub(super) values: Vec<Value<'a>>,
    pub(super) top: Span,
}

/// Where a list lies in a table of the archive.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}

/// One entry of the object table.
#[derive(Clone, Copy)]
pub enum Entry<'a> {
    /// An object.
    Object(Object),
    /// A class.
    Class(Class<'a>),
    /// A C string; `None` for a nil one.
    CString(Option<&'a [u8]>),
}

/// An object: its class, and what it wrote of itself.
#[derive(Clone, Copy)]
pub struct Object {
    /// The number of its class; `None` for an object of no class.
    pub class: Option<usize>,
    pub(super) groups: Span,
}

/// A class.
#[derive(Clone, Copy)]
pub struct Class<'a> {
    /// Its name; `None` when nil was written.
    pub name: Option<&'a [u8]>,
    /// The version of its archived form.
    pub version: i64,
    /// The number of its superclass; `None` at the root.
    pub superclass: Option<usize>,
}

/// Values that were written together.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    /// Their types, as in the table of [`codec::typedstream`](crate::codec::typedstream).
    pub types: &'a [u8],
    pub(super) values: Span,
}

/// One value.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// No object, class or C string.
    Nil,
    /// The object, class or C string of this number.
    Reference(usize),
    /// Raw bytes: `+`, `[Nc]`.
    Bytes(&'a [u8]),
    /// A shared string; `None` for nil.
    Shared(Option<&'a [u8]>),
    /// A signed number.
    Integer(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A floating-point number.
    Real(f64),
    /// A truth value.
    Boolean(bool),
    /// The values of an array or a structure.
    List(List),
}

/// The values of an array or a structure: [`Archive::list`].
#[derive(Clone, Copy)]
pub struct List(pub(super) Span);

impl Value<'_> {
    /// The number that it refers to.
    pub const fn reference(&self) -> Option<usize> {
        if let Self::Reference(number) = self {
            return Some(*number);
        }
        None
    }
}

impl<'a> Archive<'a> {
    /// The groups at the top of the stream; a message body is one group `@`.
    pub fn top(&self) -> &[Group<'a>] {
        self.groups.get(Range::from(self.top)).unwrap_or_default()
    }

    /// The values of a group, one for each of its types.
    pub fn values(&self, group: Group<'a>) -> &[Value<'a>] {
        self.values
            .get(Range::from(group.values))
            .unwrap_or_default()
    }

    /// The values of an array or a structure.
    pub fn list(&self, list: List) -> &[Value<'a>] {
        self.values.get(Range::from(list.0)).unwrap_or_default()
    }

    /// What an object wrote of itself.
    pub fn groups(&self, object: Object) -> &[Group<'a>] {
        self.groups
            .get(Range::from(object.groups))
            .unwrap_or_default()
    }

    /// The entry of a number.
    pub fn entry(&self, number: usize) -> Option<Entry<'a>> {
        self.entries.get(number).copied()
    }

    /// The object of a number; `None` for classes and C strings.
    pub fn object(&self, number: usize) -> Option<Object> {
        match self.entry(number)? {
            Entry::Object(object) => Some(object),
            Entry::Class(_) | Entry::CString(_) => None,
        }
    }

    /// An object's class and its superclasses, by name, the class first.
    pub fn classes(&self, object: Object) -> impl Iterator<Item = &'a [u8]> {
        let class = |number: Option<usize>| match self.entry(number?)? {
            Entry::Class(class) => Some(class),
            Entry::Object(_) | Entry::CString(_) => None,
        };
        // A forged class can name itself as its superclass.
        std::iter::successors(class(object.class), move |c| class(c.superclass))
            .take(limits::NESTING)
            .map(|class| class.name.unwrap_or_default())
    }

    /// Whether an object's class or one of its superclasses has this name.
    pub fn is_kind(&self, object: Object, class: &str) -> bool {
        self.classes(object).any(|name| name == class.as_bytes())
    }

    /// The number of the first object at the top.
    pub fn root(&self) -> Option<usize> {
        self.top()
            .iter()
            .flat_map(|group| self.values(*group))
            .find_map(Value::reference)
    }

    /// How many objects, classes and C strings there are.
    pub fn object_count(&self) -> usize {
        self.entries.len()
    }

    /// How many shared strings there are.
    pub fn string_count(&self) -> usize {
        self.strings.len()
    }
}

/// Streams hold message texts: logs show only sizes.
impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("objects", &self.entries.len())
            .field("strings", &self.strings.len())
            .finish_non_exhaustive()
    }
}
