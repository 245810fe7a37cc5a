//! The limit of open files: every connection is one.

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

use crate::base::limits::DESCRIPTORS;
use crate::base::limits::DESCRIPTORS_FALLBACK;

/// Raises the soft limit of file descriptors to the hard one, at most to [`DESCRIPTORS`], and returns what holds now.
///
/// Called once, at the start. A system that refuses leaves the limit as it was: the service then has fewer connections,
/// and waits when it has none left. It never lowers a limit.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current else {
        return u64::MAX;
    };
    let hard = limit.maximum.unwrap_or(u64::MAX);
    for wanted in [DESCRIPTORS, DESCRIPTORS_FALLBACK] {
        let wanted = wanted.min(hard);
        if wanted <= soft {
            break;
        }
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return wanted;
        }
    }
    soft
}

#[cfg(test)]
mod tests {
    use rustix::process::Resource;
    use rustix::process::getrlimit;

    use super::raise_descriptor_limit;

    #[test]
    fn the_soft_limit_is_raised_and_stays() {
        let first = raise_descriptor_limit();

        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current.unwrap_or(u64::MAX), first);
        // What macOS grants whatever its hard limit says.
        assert!(first >= limit.maximum.unwrap_or(u64::MAX).min(10_240));
        assert_eq!(raise_descriptor_limit(), first);
    }
}
