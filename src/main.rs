//! The `footbridge` program: reads its arguments, does what they say, and exits with the code of the answer.

use std::process::ExitCode;

fn main() -> ExitCode {
    footbridge::cli::main()
}
