//! What every other module stands on: ids, time, limits, secrets, tasks, error classes. It knows nothing of iMessage, redb or SQLite.

pub mod error;
pub mod ids;
pub mod keyed;
pub mod limits;
pub mod numbers;
pub mod password;
pub mod random;
pub mod secret;
pub mod tasks;
pub mod time;
pub mod unfinished;
