//! Destinations: where what the store holds is shown. Each follows the change log from its own cursor and walks the
//! timeline; none has a queue of its own.
//!
//! | destination | shows |
//! |---|---|
//! | [`endpoint`] | the Matrix client-server API: any client logs straight into footbridge |

pub mod endpoint;
