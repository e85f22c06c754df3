//! Certificates for agents: a first one against a token, others against the one before.

use std::sync::Arc;

use parallax_core::time::SECOND;
use parallax_identity::{Bearer, IdentityError, secret};
use parallax_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use parallax_proto::v1::{Certificate, EnrollRequest, RenewRequest};
use tonic::{Request, Response, Status};
use tracing::{error, warn};

use crate::audit::Audit;
use crate::clock;
use crate::gate::{Caller, Identities, Signing};
use crate::store::{AuditOutcome, BadToken, Entry, Store, StoreError};

/// A request for one key is a tenth of this.
const MESSAGE_MAX: usize = 64 << 10;

/// The gRPC service.
#[derive(Debug, Clone)]
pub struct EnrolmentService {
    pub store: Store,
    pub audit: Audit,
    pub identities: Identities,
}

impl EnrolmentService {
    /// As a tower service.
    pub fn into_server(self) -> EnrolmentServer<Self> {
        EnrolmentServer::new(self).max_decoding_message_size(MESSAGE_MAX)
    }

    fn signing(&self) -> Result<&Arc<Signing>, Status> {
        self.identities.signing.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "this collector has no authority's key to sign with; start it with --pki",
            )
        })
    }

    /// Signs, and writes that down before anybody gets it.
    async fn sign(
        &self,
        caller: &Caller,
        (act, vantages): (&str, &[String]),
        request: &[u8],
    ) -> Result<Response<Certificate>, Status> {
        let signing = self.signing()?;
        let signed = signing
            .authority
            .sign(request, vantages, now(), signing.life);
        let signed = signed.map_err(|refused| {
            let reason = refused.to_string();
            if matches!(refused, IdentityError::Request(_)) {
                self.audit
                    .refused(caller.named(), act, &vantages.join(", "), &reason);
                return Status::invalid_argument(reason);
            }
            error!("{reason}");
            Status::internal("the certificate could not be made; the collector's log says why")
        })?;
        let until = Bearer::read(&signed).map(|bearer| bearer.until);
        let done = Entry {
            who: caller.who.clone(),
            from: Some(caller.from),
            act: act.to_owned(),
            object: vantages.join(", "),
            outcome: AuditOutcome::Done,
            reason: until.map_or_else(|_| String::new(), |until| format!("good until {until}")),
        };
        self.audit
            .note(done)
            .await
            .map_err(|error| database_away(&error))?;
        let authority = signing.authority.certificate().to_vec();
        Ok(Response::new(Certificate {
            chain: vec![signed, authority.clone()],
            authorities: self.authorities(authority),
        }))
    }

    /// All that the collector's own file of authorities has now.
    fn authorities(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        let read = self.identities.tls.as_ref().map(|tls| tls.authorities());
        match read {
            Some(Ok(authorities)) => authorities,
            Some(Err(error)) => {
                warn!("{error}");
                vec![own]
            }
            None => vec![own],
        }
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<Certificate>, Status> {
        const ACT: &str = "enrol";
        self.signing()?;
        let caller = caller(&request)?;
        let EnrollRequest {
            secret: shown,
            request,
        } = request.into_inner();
        let used = self.store.use_token(&secret::hash(&shown)).await;
        let vantages = match used.map_err(|error| database_away(&error))? {
            Ok(vantages) => vantages,
            Err(bad) => {
                let reason = match bad {
                    BadToken::Unknown => "the token is not known here",
                    BadToken::Used => "the token was used before",
                    BadToken::Expired => "the token's time is over",
                };
                self.audit.refused(caller.named(), ACT, "", reason);
                return Err(Status::unauthenticated(format!(
                    "{reason}; ask for another with `parallax token create --vantage NAME`"
                )));
            }
        };
        self.sign(&caller, (ACT, &vantages), &request).await
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Certificate>, Status> {
        const ACT: &str = "renew a certificate";
        let caller = caller(&request)?;
        let Some(bearer) = caller.bearer.clone() else {
            self.audit
                .refused(caller.named(), ACT, "", "no certificate was shown");
            return Err(Status::unauthenticated("no certificate was shown"));
        };
        // The connection may be older than its certificate's end.
        if bearer.until <= now().cast_signed() || bearer.vantages.is_empty() {
            let reason = "the certificate has expired, or names no vantage";
            self.audit.refused(caller.named(), ACT, "", reason);
            return Err(Status::unauthenticated(reason));
        }
        let request = request.into_inner().request;
        self.sign(&caller, (ACT, &bearer.vantages), &request).await
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("the caller is not known"))
}

fn now() -> u64 {
    u64::try_from(clock::wall().nanos().div_euclid(SECOND)).unwrap_or(0)
}

fn database_away(error: &StoreError) -> Status {
    warn!("{error}");
    Status::unavailable("the collector's database does not answer; try again later")
}
