//! `parallax-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    parallax_agent::commands::main()
}
