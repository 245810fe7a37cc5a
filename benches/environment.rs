//! What the environment says of a benchmark.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to write, `FOOTBRIDGE_BENCH_FOLDER`, or a folder of this name among the target's; made if it is not there.
pub(crate) fn folder(name: &str) -> io::Result<PathBuf> {
    let folder = std::env::var_os("FOOTBRIDGE_BENCH_FOLDER").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
        PathBuf::from,
    );
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A number, or what it is where nobody set it.
pub(crate) fn number<N: FromStr<Err: Error + 'static>>(
    name: &str,
    unset: N,
) -> Result<N, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse()?),
        Err(_unset) => Ok(unset),
    }
}
