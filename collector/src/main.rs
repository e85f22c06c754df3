//! `parallax-collector`: the program around the library.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{CommandFactory, FromArgMatches};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use parallax_collector::audit::Audit;
use parallax_collector::serve::{self, Database, Settings};
use parallax_collector::signing;
use parallax_collector::store::{Entry, Role, Store, Target};
use parallax_collector::traces::{self, Sending};
use parallax_core::plain::plain;
use parallax_identity::secret;

mod args;
mod config;
mod log;

use args::{Cli, Command, DatabaseArgs, EraseArgs, KeyArgs, MigrateArgs, ServeArgs, UserAct};

/// How long the last spans may take at the end.
const TRACES_PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let line: Vec<OsString> = std::env::args_os().collect();
    let matches = command.clone().get_matches_from(&line);
    let configured = config::with_file(&command, line, matches).unwrap_or_else(|error| {
        eprintln!("parallax-collector: {error}");
        std::process::exit(2)
    });
    let cli = Cli::from_arg_matches(&configured.matches).unwrap_or_else(|error| error.exit());
    let (layer, sending) = traces(&cli.command).unzip();
    log::start(cli.log_format, layer);
    match run(cli, &command, &configured, sending) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::give_up(&error);
            ExitCode::FAILURE
        }
    }
}

/// Spans are made where somebody is named to hear them.
fn traces(command: &Command) -> Option<(log::Listener, Sending)> {
    let Command::Serve(args) = command else {
        return None;
    };
    let receiver = args.traces.otlp.as_ref()?;
    Some(traces::begin(receiver, args::trace_headers()))
}

fn run(
    cli: Cli,
    command: &clap::Command,
    configured: &config::Configured,
    sending: Option<Sending>,
) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) if args.check_config => {
            if let Err(error) = check(&args) {
                eprintln!("parallax-collector: {error}");
                std::process::exit(2);
            }
            let data_dir = args::default_data_dir();
            print!("{}", config::tell(command, configured, data_dir.as_deref()));
            Ok(())
        }
        Command::Serve(args) => in_runtime(run_server(*args, sending)),
        Command::Migrate(args) => in_runtime(migrate(args)),
        Command::Erase(args) => in_runtime(erase(args)),
        Command::User { act } => in_runtime(user(act)),
        Command::Key(args) => key(args),
        Command::Completion { shell } => {
            let mut command = Cli::command();
            let name = command.get_name().to_owned();
            clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
            Ok(())
        }
    }
}

/// What no option's parser sees.
fn check(args: &ServeArgs) -> anyhow::Result<()> {
    if args.listen().is_empty() {
        bail!("nothing to listen on; name an address with --grpc or --http");
    }
    args.outbound.authorities()?;
    database(args.database.clone()).map(drop)
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

async fn run_server(args: ServeArgs, sending: Option<Sending>) -> anyhow::Result<()> {
    let listen = args.listen();
    if listen.is_empty() {
        bail!("nothing to listen on; name an address with --grpc or --http");
    }
    let shutdown = stop_signal()?;
    let authorities = args.outbound.authorities()?;
    let signing_key = args.signing.file(args.database.data_dir.as_deref());
    let settings = Settings {
        signing_key,
        database: database(args.database)?,
        listen,
        path: args.path,
        segments: args.segments,
        retention: args.retention,
        retention_octets: args
            .retention_size
            .map(|gibibytes| u64::from(gibibytes) << 30),
        gate: args.gate.settings(),
        alerts: args.alerts.settings(authorities.clone()),
    };
    let (grpc, http) = (args.grpc.0, args.http.0);
    let gate = settings.gate.clone();
    let ready = move |bound: &[SocketAddr]| {
        let url = |asked: Option<SocketAddr>, at: Option<&SocketAddr>| {
            let at = asked.and(at)?;
            Some(format!("{}://{at}", gate.scheme(at)))
        };
        log::announce(url(grpc, bound.first()), url(http, bound.last()));
    };
    let stop = CancellationToken::new();
    let sending = sending.map(|sending| tokio::spawn(sending.run(authorities, stop.clone())));
    let served = serve::serve(settings, ready, shutdown).await;
    stop.cancel();
    if let Some(sending) = sending
        && timeout(TRACES_PATIENCE, sending).await.is_err()
    {
        tracing::warn!("the receiver of traces did not take the last spans in time");
    }
    Ok(served?)
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

async fn erase(args: EraseArgs) -> anyhow::Result<()> {
    let opened = serve::open_beside(&database(args.database)?).await?;
    let erasing = async {
        // Before: it is done in many parts, and what is gone must not be gone unnoticed.
        let act = local("erase an address", args.address.to_string());
        Audit::new(opened.store.clone()).note(act).await?;
        anyhow::Ok(opened.store.erase(args.address).await?)
    };
    let erased = erasing.await;
    opened.close().await;
    let erased = erased?;
    let text = format!(
        "{}: {} connections, {} rows of segments, {} resets, {} statements of kernels removed\n",
        args.address, erased.flows, erased.segments, erased.resets, erased.statements
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

async fn user(act: UserAct) -> anyhow::Result<()> {
    let args = match &act {
        UserAct::Add { database, .. }
        | UserAct::List { database }
        | UserAct::Remove { database, .. } => database.clone(),
    };
    let opened = serve::open_beside(&database(args)?).await?;
    let done = with_user(&opened.store, act).await;
    opened.close().await;
    let text = done?;
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Does it and returns what to print.
async fn with_user(store: &Store, act: UserAct) -> anyhow::Result<String> {
    match act {
        UserAct::Add { name, role, .. } => {
            let characters = name.chars().count();
            if !(1..=128).contains(&characters) || name.chars().any(char::is_control) {
                bail!("a name has 1 to 128 characters, none of them a control character");
            }
            let token = secret::for_person()?;
            let object = format!("{name} as {}", role.word());
            let act = local("add a person", object);
            store
                .set_person(&name, role, &secret::hash(token.as_bytes()), &act)
                .await?;
            Ok(format!("{token}\n"))
        }
        UserAct::List { .. } => {
            let people = store.people().await?.into_iter();
            let line =
                |(name, role): (String, Role)| format!("{}\t{}\n", plain(&name), role.word());
            Ok(people.map(line).collect())
        }
        UserAct::Remove { name, .. } => {
            let act = local("remove a person", name.clone());
            if !store.remove_person(&name, &act).await? {
                bail!("nobody is called {name:?}; `parallax-collector user list` lists people");
            }
            Ok(String::new())
        }
    }
}

/// An act at the command line, for the audit.
fn local(act: &str, object: String) -> Entry {
    let by = nix::unistd::User::from_uid(nix::unistd::Uid::current())
        .ok()
        .flatten()
        .map_or_else(|| nix::unistd::Uid::current().to_string(), |user| user.name);
    Entry::done(format!("local:{by}"), None, act, object)
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
