//! The collector on a real Postgres: storing, gathering, judging, answering; and as a process.

mod agent;
mod answers;
mod digests;
mod evidence;
mod export;
mod fleet;
mod flow_control;
mod herald;
mod hostile;
mod ingest;
mod load;
mod losses;
mod many;
mod openapi;
mod packed;
mod people;
mod privacy;
mod process;
mod query;
mod recall;
mod server;
mod shards;
mod testimony;
mod traces;
mod verdicts;
mod web;
