//! What stands before the handlers: who is asked ([`HostCheck`]), how often ([`RateLimit`]), how many at once
//! ([`Slots`]). The handlers decide where each of them applies.

mod host;
mod rate;
mod slots;

pub use host::HostCheck;
pub use host::host_of;
pub use rate::RateLimit;
pub use slots::Slot;
pub use slots::Slots;
pub use slots::SlotsTaken;
