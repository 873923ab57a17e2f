//! What Envoy's codec refuses and hyper lets through: refused at the proxy border, or where told.

use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri, Version};

use super::hop::words;
use crate::context::ResponseFlags;
use crate::reply::LocalReply;

/// The methods Envoy knows in HTTP/1.1; it refuses all others.
const METHODS: [&str; 34] = [
    "ACL",
    "BIND",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// The most bytes of a target and headers Envoy takes.
const MAX_HEADERS: usize = 60 << 10;
/// The most headers `Connection` may name.
const MAX_NOMINATED: usize = 9;

/// Whether an authority, which a `Host` header may be, is none that a target may have: a list, or
/// with a port that is no number up to 65 535.
fn is_no_target(authority: &str) -> bool {
    let plain = |it: u8| !matches!(it, b':' | b'@' | b',');
    if authority.bytes().all(plain) {
        return false;
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let port = match host.rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => port,
        _ => "80",
    };
    let is_port = port.bytes().all(|it| it.is_ascii_digit()) && port.parse::<u16>().is_ok();
    !is_port || authority.contains(',')
}

/// Whether a byte cannot stand in a host.
fn is_strange(byte: u8) -> bool {
    const STRANGE: [bool; 256] = {
        let mut strange = [true; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            strange[byte as usize] = matches!(
                byte,
                b'"' | b'#' | b'/' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            );
            byte += 1;
        }
        strange
    };
    STRANGE.get(usize::from(byte)).copied().unwrap_or(true)
}

/// Whether a method is one of those that nearly all requests have.
const fn is_usual(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD
    )
}

/// The length of a target, as it was written but for a fragment.
fn length(target: &Uri) -> usize {
    let scheme = target.scheme_str().map_or(0, |it| it.len() + "://".len());
    let authority = target.authority().map_or(0, |it| it.as_str().len());
    let path = target.path_and_query().map_or(0, |it| it.as_str().len());
    scheme + authority + path
}

/// Refuses what Envoy's codec refuses and hyper lets through.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), LocalReply> {
    let (headers, uri) = (request.headers(), request.uri());
    let refuse = |status: StatusCode, body: &'static str, details: &'static str| {
        let flags = ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR;
        Err(LocalReply::new(status, flags).body(body).details(details))
    };
    let bad = |details| refuse(StatusCode::BAD_REQUEST, "Bad Request", details);
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if sizes.sum::<usize>() + length(uri) > MAX_HEADERS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return refuse(
            status,
            "Request Header Fields Too Large",
            "http1.headers_too_large",
        );
    }
    let host = headers
        .get(HOST)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if request.version() < Version::HTTP_11 {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "Upgrade Required",
            "low_version",
        );
    }
    if request.version() == Version::HTTP_11 {
        if !is_usual(request.method()) && !METHODS.contains(&request.method().as_str()) {
            return bad("http1.codec_error");
        }
        let connect = request.method() == Method::CONNECT;
        let port = || uri.authority().and_then(Authority::port);
        if connect && (uri.path_and_query().is_some() || port().is_none()) {
            return bad("http1.invalid_url");
        }
        if !connect
            && uri
                .scheme_str()
                .is_some_and(|it| !matches!(it, "http" | "https"))
        {
            return bad("http1.invalid_scheme");
        }
        if uri.authority().is_some_and(|it| is_no_target(it.as_str())) {
            return bad("http1.invalid_url");
        }
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next();
        let chunked = |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !coding.is_none_or(chunked) || codings.next().is_some() {
            let status = StatusCode::NOT_IMPLEMENTED;
            return refuse(status, "Not Implemented", "http1.invalid_transfer_encoding");
        }
        let forwarding = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        let rejected = |name: &str| {
            name.starts_with(':') || forwarding.iter().any(|it| name.eq_ignore_ascii_case(it))
        };
        let mut named = words(headers, &CONNECTION).filter(|name| !name.is_empty());
        let (mut count, mut refused) = (0, false);
        named.by_ref().for_each(|name| {
            count += 1;
            refused |= rejected(name);
        });
        if count > MAX_NOMINATED || refused {
            return bad("http1.connection_header_rejected");
        }
    }
    if host.iter().copied().any(is_strange) {
        return bad("http.invalid_authority");
    }
    Ok(())
}
