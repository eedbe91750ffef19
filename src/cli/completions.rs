//! `jackfield completions`

use clap::CommandFactory;

use super::args::{Args, Shell};
use super::failure::Failure;
use super::out::Out;

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(generator, &mut command, name, &mut script);
    let mut out = Out::standard();
    out.write(&script)?;
    Ok(out.end()?)
}
