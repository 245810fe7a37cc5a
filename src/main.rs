//! The `footbridge` program: reads its arguments, does what they say, and exits with the code of the answer.

fn main() {}
