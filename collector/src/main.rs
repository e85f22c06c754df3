//! `parallax-collector`: the program around the library.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use parallax_collector::serve::{self, Database, Settings};
use parallax_collector::signing;
use parallax_collector::store::Target;

mod args;
mod config;

use args::{Cli, Command, DatabaseArgs, KeyArgs, MigrateArgs, ServeArgs};

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start_log();
    match run(cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last words: if standard error is gone there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "parallax-collector: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start_log() {
    let filter = EnvFilter::try_from_env("PARALLAX_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,parallax_collector=info"));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !plain;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}

fn run(cli: Cli, matches: &ArgMatches) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(mut args) => {
            let matches = matches.subcommand_matches("serve").unwrap_or(matches);
            let sources = config::with_file(&mut args, matches);
            if args.check_config {
                check_config(&args, sources);
                return Ok(());
            }
            sources?;
            in_runtime(run_server(*args))
        }
        Command::Migrate(args) => in_runtime(migrate(args)),
        Command::Key(args) => key(args),
        Command::Completion { shell } => {
            let mut command = Cli::command();
            let name = command.get_name().to_owned();
            clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Prints the settings in effect; wrong ones end the process with status 2.
fn check_config(args: &ServeArgs, sources: Result<config::Sources<'_>, config::ConfigError>) {
    let checked = sources.map_err(anyhow::Error::from).and_then(|sources| {
        if args.listen().is_empty() {
            bail!("nothing to listen on; name an address with --grpc or --http");
        }
        database(args.database.clone())?;
        Ok(sources)
    });
    match checked {
        Ok(sources) => {
            let data_dir = args::default_data_dir();
            print!("{}", config::tell(args, &sources, data_dir.as_deref()));
        }
        Err(error) => {
            eprintln!("parallax-collector: {error}");
            std::process::exit(2);
        }
    }
}

fn key(args: KeyArgs) -> anyhow::Result<()> {
    let file = args.signing.file(args.data_dir.as_deref());
    let file =
        file.context("there is no home directory to keep a key in; name one with --signing-key")?;
    let public = signing::read_or_make(&file)?.public();
    writeln!(std::io::stdout(), "{public}").context("cannot write to standard output")
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(work)
}

async fn run_server(args: ServeArgs) -> anyhow::Result<()> {
    let listen = args.listen();
    if listen.is_empty() {
        bail!("nothing to listen on; name an address with --grpc or --http");
    }
    let shutdown = stop_signal()?;
    let signing_key = args.signing.file(args.database.data_dir.as_deref());
    let settings = Settings {
        signing_key,
        database: database(args.database)?,
        listen,
        path: args.path,
        segments: args.segments,
        retention: args.retention,
        alerts: args.alerts.into(),
    };
    let (grpc, http) = (args.grpc.0, args.http.0);
    let ready = move |bound: &[SocketAddr]| announce(bound, grpc, http);
    serve::serve(settings, ready, shutdown).await?;
    Ok(())
}

/// The one line that programs wait for.
fn announce(bound: &[SocketAddr], grpc: Option<SocketAddr>, http: Option<SocketAddr>) {
    let (first, last) = (bound.first(), bound.last());
    let told = |name: &str, address: Option<&SocketAddr>| {
        address.map_or(String::new(), |address| format!(" {name} http://{address}"))
    };
    let line = format!(
        "parallax-collector ready:{}{}\n",
        told("grpc", first.filter(|_| grpc.is_some())),
        told("http", last.filter(|_| http.is_some())),
    );
    // One write, so that the line is never torn; without standard error nobody waits for it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let opened = serve::open(&database(args.database)?).await?;
    let distributed = if args.distributed {
        opened.store.distribute().await
    } else {
        Ok(())
    };
    opened.close().await;
    Ok(distributed?)
}

fn database(args: DatabaseArgs) -> anyhow::Result<Database> {
    if let Some(url) = args.database_url {
        return Ok(Database::Url(Box::new(Target::from_url(&url)?)));
    }
    let data_dir = args
        .data_dir
        .or_else(args::default_data_dir)
        .context("there is no home directory to keep data in; choose one with --data-dir")?;
    Ok(Database::Private { data_dir })
}

/// Completes at SIGINT or SIGTERM. It listens from the moment of this call.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
