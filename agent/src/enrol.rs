//! How an agent comes by its certificate, and by the next one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_core::time::SECOND;
use parallax_identity::files::{self, Readers, There};
use parallax_identity::token::Token;
use parallax_identity::{Bearer, IdentityError, Request, tls};
use parallax_proto::v1::enrolment_client::EnrolmentClient;
use parallax_proto::v1::{Certificate, EnrollRequest, RenewRequest};
use thiserror::Error;
use tonic::transport::{Channel, Uri};
use tracing::{info, warn};

use crate::clock;
use crate::meter::Meter;
use crate::stream::{Link, Outside, innermost};
use crate::trust::Trust;

/// Longest wait for a collector.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the certificate's age is looked at.
const LOOK_EACH: Duration = Duration::from_mins(1);

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum EnrolError {
    #[error("collector address {url:?}: {reason}; give one like https://192.0.2.1:7600")]
    BadUrl { url: String, reason: String },
    #[error(
        "cannot reach a collector at {url}: {reason}; check --collector, and that the collector speaks TLS there (`serve --pki DIR`)"
    )]
    Unreachable { url: String, reason: String },
    #[error("the collector at {url} refuses: {reason}")]
    Refused { url: String, reason: String },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

/// Gets a first certificate against a one-time token and writes the identity into `folder`.
///
/// # Errors
/// Nothing is written then. A token that the collector saw is used up.
pub fn enroll(url: &str, token: &Token, folder: &Path) -> Result<Bearer, EnrolError> {
    let target = folder.join(files::AGENT);
    std::fs::create_dir_all(folder).map_err(|source| IdentityError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EnrolError::Runtime)?;
    runtime.block_on(async {
        let channel = connect(url, Link::Tls(Box::new(tls::pinned(token.authority())?))).await?;
        let request = Request::new()?;
        let asked = EnrollRequest {
            secret: token.secret().to_vec(),
            request: request.der().to_vec(),
        };
        let answer = EnrolmentClient::new(channel).enroll(asked).await;
        let certificate = answer.map_err(|status| refused(url, &status))?.into_inner();
        let bearer = keep(folder, &request, &certificate)?;
        info!(identity = %target.display(), "enrolled");
        Ok(bearer)
    })
}

/// Another certificate, against the one that `trust` has.
async fn renew(url: &str, trust: &Trust, folder: &Path) -> Result<Bearer, EnrolError> {
    let Some(files) = &trust.files else {
        return Err(EnrolError::BadUrl {
            url: url.to_owned(),
            reason: "there is no identity".to_owned(),
        });
    };
    let channel = connect(url, Link::Files(files.clone())).await?;
    let request = Request::new()?;
    let asked = RenewRequest {
        request: request.der().to_vec(),
    };
    let answer = EnrolmentClient::new(channel).renew(asked).await;
    let certificate = answer.map_err(|status| refused(url, &status))?.into_inner();
    keep(folder, &request, &certificate)
}

async fn connect(url: &str, link: Link) -> Result<Channel, EnrolError> {
    let bad = |reason: String| EnrolError::BadUrl {
        url: url.to_owned(),
        reason,
    };
    let uri: Uri = url.parse().map_err(|error| bad(innermost(&error)))?;
    if uri.scheme_str() != Some("https") {
        return Err(bad("certificates travel over https:// only".to_owned()));
    }
    let unreachable = |reason| EnrolError::Unreachable {
        url: url.to_owned(),
        reason,
    };
    let ways = (Outside::default(), std::sync::Arc::<Meter>::default());
    let connecting = link.channel(uri, PATIENCE, ways);
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(connected) => connected.map_err(|error| unreachable(innermost(&error))),
        Err(_) => Err(unreachable("no answer in time".to_owned())),
    }
}

fn refused(url: &str, status: &tonic::Status) -> EnrolError {
    let reason = match status.message() {
        "" => format!("{:?}", status.code()),
        "transport error" => innermost(status),
        message => message.to_owned(),
    };
    EnrolError::Refused {
        url: url.to_owned(),
        reason,
    }
}

fn keep(folder: &Path, request: &Request, got: &Certificate) -> Result<Bearer, EnrolError> {
    let bearer = match got.chain.first() {
        Some(own) => Bearer::read(own)?,
        None => return Err(IdentityError::Certificate("none was sent".to_owned()).into()),
    };
    let authorities = parallax_identity::pem_of(&got.authorities);
    files::write(
        &folder.join(files::CA),
        authorities.as_bytes(),
        Readers::All,
        There::Replaced,
    )?;
    let own = request.pem_with(&got.chain);
    files::write(
        &folder.join(files::AGENT),
        own.as_bytes(),
        Readers::Owner,
        There::Replaced,
    )?;
    Ok(bearer)
}

/// Renews the certificate of a folder when two thirds of its life are over, for ever; tries again each minute where that
/// fails.
pub async fn keep_renewed(collectors: Vec<String>, trust: Trust, folder: PathBuf) {
    let mut turns = tokio::time::interval(LOOK_EACH.min(Duration::from_secs(1)));
    let mut told = false;
    loop {
        turns.tick().await;
        let now = clock::wall().nanos().div_euclid(SECOND);
        let due = match own(&trust) {
            Ok(bearer) => is_due(&bearer, now),
            Err(error) => {
                if !told {
                    warn!("{error}");
                }
                told = true;
                false
            }
        };
        if due {
            renew_anywhere(&collectors, &trust, &folder).await;
        }
        turns.reset_after(if due { LOOK_EACH / 6 } else { LOOK_EACH / 60 });
    }
}

fn own(trust: &Trust) -> Result<Bearer, IdentityError> {
    let files = trust.files.as_ref();
    let own = files.map_or(Ok(None), tls::ClientFiles::certificate)?;
    Bearer::read(&own.unwrap_or_default())
}

fn is_due(bearer: &Bearer, now: i64) -> bool {
    let life = bearer.until.saturating_sub(bearer.from);
    bearer.until.saturating_sub(now) <= life / 3
}

async fn renew_anywhere(collectors: &[String], trust: &Trust, folder: &Path) {
    for url in collectors.iter().filter(|url| url.starts_with("https://")) {
        match renew(url, trust, folder).await {
            Ok(bearer) => {
                info!(vantages = ?bearer.vantages, "the certificate was renewed");
                return;
            }
            Err(error) => warn!("the certificate is not renewed yet: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let bearer = Bearer {
            subject: String::new(),
            vantages: Vec::new(),
            from: 1000,
            until: 1300,
        };
        assert!(!is_due(&bearer, 1199));
        assert!(is_due(&bearer, 1200));
        assert!(is_due(&bearer, 5000));
    }
}
