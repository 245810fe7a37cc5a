//! The `footbridge` program: reads its arguments, does what they say, and exits with the code of the answer.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    footbridge::cli::main()
}
