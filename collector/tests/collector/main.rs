//! The collector on a real Postgres: storing, gathering, judging, answering; and as a process.

mod agent;
mod answers;
mod digests;
mod evidence;
mod ingest;
mod load;
mod losses;
mod process;
mod recall;
mod server;
mod testimony;
mod verdicts;
