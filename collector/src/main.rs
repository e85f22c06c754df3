//! `parallax-collector`: the program around the library.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser};
use tokio::signal::unix::{SignalKind, signal};

use parallax_collector::serve::{self, Database, Settings};
use parallax_collector::signing;
use parallax_collector::store::Target;

mod args;
mod log;

use args::{Cli, Command, DatabaseArgs, KeyArgs, MigrateArgs, ServeArgs};

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.log_format);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::give_up(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) => in_runtime(run_server(*args)),
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
    let ready = move |bound_at: &[SocketAddr]| {
        let bound = |asked: Option<SocketAddr>, at: Option<&SocketAddr>| asked.and(at.copied());
        log::announce(bound(grpc, bound_at.first()), bound(http, bound_at.last()));
    };
    serve::serve(settings, ready, shutdown).await?;
    Ok(())
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
