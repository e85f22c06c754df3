//! `parallax`: where did that reset come from?

use std::process::ExitCode;

fn main() -> ExitCode {
    parallax_cli::main()
}
