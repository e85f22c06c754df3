//! Lets a request pass, or not: before any handler sees it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parallax_identity::{Bearer, secret};
use tonic::Status;

use super::{Demand, Peer, Proxies, Transport};
use crate::audit::Audit;
use crate::http::Refusal;
use crate::store::{Role, Store, StoreError};

/// What decides.
#[derive(Debug, Clone)]
pub struct Door {
    pub store: Store,
    pub audit: Audit,
    pub demand: Demand,
    /// Whether TLS is spoken here.
    pub tls: bool,
    pub proxies: Arc<Proxies>,
}

/// Who asks, as handlers find it among the request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    /// As in `audit.who`.
    pub who: String,
    pub from: IpAddr,
    /// The certificate that the connection was made with.
    pub bearer: Option<Arc<Bearer>>,
}

impl Caller {
    /// For the audit.
    pub fn named(&self) -> (&str, Option<IpAddr>) {
        (&self.who, Some(self.from))
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Role(Role),
    /// An agent's certificate, where TLS is spoken.
    Certificate,
    /// A connection that nobody else can read.
    Privacy,
}

fn needs(method: &Method, path: &str) -> Needs {
    match path {
        "/healthz" => Needs::Nothing,
        "/v1/audit" | "/v1/tokens" | "/v1/people" => Needs::Role(Role::Admin),
        "/parallax.v1.Enrolment/Enroll" => Needs::Privacy,
        _ if path.starts_with("/parallax.v1.Ingest/") => Needs::Certificate,
        _ if path.starts_with("/parallax.v1.Enrolment/") => Needs::Certificate,
        _ if path.starts_with("/grpc.health.v1.") => Needs::Nothing,
        // Questions, though they are posted.
        _ if is_grpc(path) || path.ends_with("/bundle") => Needs::Role(Role::Viewer),
        _ if path.starts_with("/assets/") => Needs::Nothing,
        _ if path.starts_with("/v1/people/") => Needs::Role(Role::Admin),
        _ if changes(method) => Needs::Role(Role::Operator),
        _ => Needs::Role(Role::Viewer),
    }
}

fn is_grpc(path: &str) -> bool {
    path.starts_with("/parallax.v1.") || path.starts_with("/grpc.")
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Why a request does not pass.
enum Turned {
    /// Who asks is not known, or not believed.
    Unknown(&'static str),
    /// Who asks is known and may not.
    Forbidden(String),
    Database(StoreError),
}

/// A middleware around all routes.
pub async fn admit(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let (mut request, body) = request.into_parts();
    let path = request.uri.path().to_owned();
    let needs = needs(&request.method, &path);
    let mut caller = Caller {
        who: unnamed(&peer),
        from: peer.address.ip(),
        bearer: match &peer.transport {
            Transport::Tls(bearer) => bearer.clone(),
            Transport::Plain => None,
        },
    };
    let passed = match needs {
        Needs::Certificate | Needs::Privacy => door.agent(&peer, needs),
        Needs::Nothing | Needs::Role(_) => door.person(&peer, &request, needs, &mut caller).await,
    };
    if let Err(turned) = passed {
        let act = format!("{} {path}", request.method);
        return door.turn(turned, &caller, &act, &request);
    }
    request.extensions.insert(caller);
    next.run(Request::from_parts(request, body)).await
}

fn unnamed(peer: &Peer) -> String {
    match &peer.transport {
        Transport::Tls(Some(bearer)) => format!("certificate:{}", bearer.subject),
        _ if is_local(peer) => "local".to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn is_local(peer: &Peer) -> bool {
    peer.address.ip().to_canonical().is_loopback()
}

const SPEAK_TLS: &str =
    "this collector speaks TLS only with other machines; give its address as https://";
const SHOW_CERTIFICATE: &str = "no certificate was shown; get one with `parallax enroll`";
const SHOW_TOKEN: &str =
    "no role: show a token of `parallax-collector user add` (Authorization: Bearer …)";

impl Door {
    /// Plain connections from other machines.
    fn plain(&self, peer: &Peer) -> Result<(), Turned> {
        let wanted = match self.demand {
            Demand::AsSetUp => self.tls,
            Demand::Identity => true,
            Demand::Nothing => false,
        };
        if wanted && !is_local(peer) {
            return Err(Turned::Unknown(SPEAK_TLS));
        }
        Ok(())
    }

    fn agent(&self, peer: &Peer, needs: Needs) -> Result<(), Turned> {
        match &peer.transport {
            Transport::Plain if needs == Needs::Privacy && !is_local(peer) => {
                Err(Turned::Unknown(SPEAK_TLS))
            }
            Transport::Plain => self.plain(peer),
            Transport::Tls(None) if needs == Needs::Certificate => {
                Err(Turned::Unknown(SHOW_CERTIFICATE))
            }
            Transport::Tls(_) => Ok(()),
        }
    }

    async fn person(
        &self,
        peer: &Peer,
        request: &Parts,
        needs: Needs,
        caller: &mut Caller,
    ) -> Result<(), Turned> {
        let Needs::Role(needed) = needs else {
            return Ok(());
        };
        let by_proxy = self.is_proxy(caller.from);
        if matches!(peer.transport, Transport::Plain) && !by_proxy {
            self.plain(peer)?;
        }
        if changes(&request.method) {
            same_site(request)?;
        }
        let role = if by_proxy {
            caller.who = format!("proxy:{}", caller.from);
            let told = request.headers.get(&self.proxies.header);
            let told = told.and_then(|role| role.to_str().ok()?.trim().parse().ok());
            told.ok_or(Turned::Unknown("the proxy named no role"))?
        } else if let Some(token) = token(&request.headers) {
            let hash = secret::hash(token.as_bytes());
            let person = self.store.person(&hash).await.map_err(Turned::Database)?;
            let (name, role) = person.ok_or(Turned::Unknown("the token is not known"))?;
            caller.who = format!("user:{name}");
            role
        } else {
            self.nobody(peer, request).await?
        };
        if role < needed {
            return Err(Turned::Forbidden(format!(
                "this needs the role {}, {} has {}",
                needed.word(),
                caller.who,
                role.word()
            )));
        }
        Ok(())
    }

    /// What somebody may do who shows nothing.
    async fn nobody(&self, peer: &Peer, request: &Parts) -> Result<Role, Turned> {
        if is_local(peer) {
            // A page from elsewhere, under a name that now leads here, must not act for who sees it.
            let browser = request.headers.contains_key(header::ORIGIN);
            if changes(&request.method) && browser && !names_this_machine(request) {
                return Err(Turned::Forbidden(
                    "a browser may change things under this machine's own name or address only"
                        .to_owned(),
                ));
            }
            return Ok(Role::Admin);
        }
        let set_up = self.demand == Demand::Identity
            || !self.proxies.addresses.is_empty()
            || self.store.has_people().await.map_err(Turned::Database)?;
        if set_up {
            return Err(Turned::Unknown(SHOW_TOKEN));
        }
        Ok(Role::Operator)
    }

    fn is_proxy(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.proxies.addresses.iter().any(|net| net.contains(&from))
    }

    /// The refusal, in the words of the protocol that asks; and a row of the audit.
    fn turn(&self, turned: Turned, caller: &Caller, act: &str, request: &Parts) -> Response {
        let (status, grpc, reason) = match turned {
            Turned::Database(error) => return Refusal::from(error).into_response(),
            Turned::Unknown(reason) => {
                let status = Status::unauthenticated(reason);
                (StatusCode::UNAUTHORIZED, status, reason.to_owned())
            }
            Turned::Forbidden(reason) => {
                let status = Status::permission_denied(&reason);
                (StatusCode::FORBIDDEN, status, reason)
            }
        };
        self.audit.refused(caller.named(), act, "", &reason);
        if is_grpc(request.uri.path()) {
            return grpc.into_http();
        }
        let mut response = Refusal::new(status, reason).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // A browser asks for name and token, a program knows the other.
            for kind in ["Bearer", "Basic realm=\"parallax\", charset=\"UTF-8\""] {
                let kind = HeaderValue::from_static(kind);
                response
                    .headers_mut()
                    .append(header::WWW_AUTHENTICATE, kind);
            }
        }
        response
    }
}

/// The token of `Authorization: Bearer TOKEN`, or the password of `Basic`.
fn token(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = said.split_once(' ').unwrap_or((said, ""));
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = secret::unbase64(rest.trim()).unwrap_or_default();
        let pair = String::from_utf8(pair).unwrap_or_default();
        pair.split_once(':')
            .map_or("", |(_, token)| token)
            .to_owned()
    } else {
        // Something was shown; that it is nothing known must not let it pass as nobody.
        String::new()
    };
    Some(token)
}

/// What another site's page makes a browser send says so, or bears that site's origin.
fn same_site(request: &Parts) -> Result<(), Turned> {
    let text = |name: &str| request.headers.get(name)?.to_str().ok();
    let cross = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) if site != "same-origin" && site != "none" => true,
        (_, Some(origin)) => {
            let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
            Some(authority) != host(request)
        }
        _ => false,
    };
    if cross {
        return Err(Turned::Forbidden(
            "this was sent by another site's page".to_owned(),
        ));
    }
    Ok(())
}

/// Of HTTP/1.1 a header, of HTTP/2 the address's authority.
fn host(request: &Parts) -> Option<&str> {
    let header = request.headers.get(header::HOST);
    header.and_then(|host| host.to_str().ok()).or_else(|| {
        request
            .uri
            .authority()
            .map(axum::http::uri::Authority::as_str)
    })
}

fn names_this_machine(request: &Parts) -> bool {
    let Some(host) = host(request) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn post(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/v1/policy").body(Body::empty()).unwrap();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn what_another_site_sends_is_told_by_either_header() {
        let host = ("host", "collector:7680");
        for good in [
            &[host][..],
            &[host, ("origin", "https://collector:7680")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(same_site(&post(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[host, ("origin", "https://elsewhere")][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "https://collector")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(same_site(&post(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_read_from_either_scheme_and_nothing_known_is_no_token_that_passes() {
        let read = |said: &str| token(&post(&[("authorization", said)]).headers);
        assert_eq!(read("Bearer abc").unwrap(), "abc");
        assert_eq!(read("basic am9lOmFiYw==").unwrap(), "abc");
        for odd in ["Digest x", "Basic ???", "Bearer"] {
            assert_eq!(read(odd).unwrap(), "", "{odd}");
        }
        assert_eq!(token(&post(&[]).headers), None);
    }

    #[test]
    fn only_this_machines_own_names_are_its_own() {
        for (host, own) in [
            ("localhost:7680", true),
            ("127.0.0.1", true),
            ("[::1]:7680", true),
            ("evil.example:7680", false),
        ] {
            assert_eq!(names_this_machine(&post(&[("host", host)])), own, "{host}");
        }
    }

    #[test]
    fn each_route_needs_what_it_does() {
        let needs = |method: Method, path| needs(&method, path);
        assert_eq!(needs(Method::GET, "/"), Needs::Role(Role::Viewer));
        assert_eq!(
            needs(Method::PUT, "/v1/policy"),
            Needs::Role(Role::Operator)
        );
        for path in ["/v1/audit", "/v1/tokens", "/v1/people", "/v1/people/joe"] {
            assert_eq!(needs(Method::GET, path), Needs::Role(Role::Admin), "{path}");
        }
        let grpc = |path| needs(Method::POST, path);
        assert_eq!(grpc("/parallax.v1.Ingest/Stream"), Needs::Certificate);
        assert_eq!(grpc("/parallax.v1.Enrolment/Renew"), Needs::Certificate);
        assert_eq!(grpc("/parallax.v1.Enrolment/Enroll"), Needs::Privacy);
        let viewer = Needs::Role(Role::Viewer);
        assert_eq!(grpc("/parallax.v1.Query/ListResets"), viewer);
        assert_eq!(grpc("/v1/resets/x/bundle"), viewer);
    }
}
