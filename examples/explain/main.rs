//! Says what would be done with a request, and why, without sending it.
//!
//! ```text
//! cargo run --example explain -- --config examples/canary/mesh.yaml \
//!     GET http://customers.default.svc.cluster.local/ -H 'x-debug: yes'
//! ```
//!
//! Many requests are read from a file with `--requests`, a JSON object a line:
//!
//! ```text
//! {"method": "GET", "url": "http://shop/cart", "headers": [["end-user", "jason"]]}
//! ```
#![allow(clippy::print_stderr, reason = "a program talks to its user")]

#[path = "../support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, error::ErrorKind};
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};
use serde_json::Value;
use tower_mesh::diagnostic::Diagnostics;
use tower_mesh::mesh::{Explanation, Mesh};

use support::Options;

/// Says which rule a request meets, what would be done with it, and why not something else.
#[derive(Debug, Parser)]
#[command(
    name = "explain",
    version,
    override_usage = "explain --config <PATH>... [OPTIONS] <METHOD> <URL> [-H <NAME: VALUE>]...\n       \
                      explain --config <PATH>... [OPTIONS] --requests <FILE>"
)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The port the request is addressed to; the URL's own when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Print a JSON object for each request instead of a tree
    #[arg(long)]
    json: bool,
    /// Read requests from a file, or from the standard input with -, a JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "url", "header"])]
    requests: Option<PathBuf>,
    /// A header of the request
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// The request's method
    #[arg(required_unless_present = "requests", requires = "url")]
    method: Option<Method>,
    /// The request's URL, such as http://reviews:9080/reviews/1
    url: Option<Uri>,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is not of the form NAME: VALUE"))?;
    header_of(name.trim(), value.trim())
}

fn header_of(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header name"))?;
    let value =
        HeaderValue::try_from(value).map_err(|_| format!("{value:?} is no header value"))?;
    Ok((name, value))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(in_order(std::env::args_os().collect()));
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => Arguments::command()
            .error(ErrorKind::ValueValidation, message)
            .exit(),
        Err(Failure::Files(error)) => {
            eprintln!("explain: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Rules(found)) => {
            support::print_diagnostics(&found);
            ExitCode::FAILURE
        }
    }
}

/// Moves the method and the URL behind the options: `--config` takes any number of paths and
/// would take them too.
fn in_order(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |place: usize| arguments.get(place).and_then(|it| it.to_str());
    let is_word = |place: usize| text(place).is_some_and(|it| !it.starts_with('-'));
    let is_request = |place: &usize| {
        text(*place).is_some_and(|it| it.contains("://"))
            && is_word(*place)
            && is_word(*place - 1)
            && Method::try_from(text(*place - 1).unwrap_or_default()).is_ok()
            && !matches!(text(*place - 2), Some("-H" | "--header"))
    };
    if arguments.iter().any(|it| it == "--") {
        return arguments;
    }
    if let Some(url) = (2..arguments.len()).find(is_request) {
        let request: Vec<_> = arguments.drain(url - 1..=url).collect();
        arguments.push("--".into());
        arguments.extend(request);
    }
    arguments
}

enum Failure {
    /// The request is none, which is as wrong as a wrong option.
    Usage(String),
    /// The rules cannot be read.
    Files(std::io::Error),
    /// The rules cannot be used.
    Rules(Diagnostics),
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let options = &arguments.options;
    let resources = options.read().map_err(Failure::Files)?;
    let built = options.builder().resources(resources).build();
    let (mesh, report) = built.map_err(Failure::Rules)?;
    support::print_diagnostics(report.diagnostics());

    if let Some(file) = &arguments.requests {
        return each_of(file, |request, first| {
            tell(arguments, &explain(&mesh, arguments, request), first);
        });
    }
    let method = arguments.method.clone().unwrap_or_default();
    let url = arguments.url.clone().unwrap_or_default();
    let request = request(method, url, arguments.header.clone()).map_err(Failure::Usage)?;
    tell(arguments, &explain(&mesh, arguments, &request), true);
    Ok(())
}

fn explain(mesh: &Mesh, arguments: &Arguments, request: &Parts) -> Explanation {
    let own = match request.uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let port = arguments.port.or(request.uri.port_u16()).unwrap_or(own);
    match arguments.options.gateway {
        // What a gateway is asked has come over a wire.
        Some(_) => mesh.forward().port(port).explain(request),
        None => mesh.explain_at(port, request),
    }
}

fn request(
    method: Method,
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Result<Parts, String> {
    let named = url.authority().is_some() || headers.iter().any(|(name, _)| name == HOST);
    if !named {
        return Err(format!("{url} names no host; write http://HOST/PATH"));
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = url;
    for (name, value) in headers {
        request.headers_mut().append(name, value);
    }
    Ok(request.into_parts().0)
}

/// Reads requests, one a line; empty lines are passed over.
fn each_of(file: &Path, mut with: impl FnMut(&Parts, bool)) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    let input: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(|it| failed(&it))?)),
    };
    let mut first = true;
    for (n, line) in input.lines().enumerate() {
        let line = line.map_err(|it| failed(&it))?;
        if line.trim().is_empty() {
            continue;
        }
        let request = read(&line)
            .map_err(|it| Failure::Usage(format!("{}:{}: {it}", file.display(), n + 1)))?;
        with(&request, first);
        first = false;
    }
    Ok(())
}

fn read(line: &str) -> Result<Parts, String> {
    let written: Value = serde_json::from_str(line).map_err(|it| it.to_string())?;
    let object = written.as_object().ok_or("a JSON object is wanted")?;
    if let Some(key) = object
        .keys()
        .find(|it| !["method", "url", "headers"].contains(&it.as_str()))
    {
        return Err(format!(
            "there is no key {key:?}: method, url and headers are known"
        ));
    }
    let text = |key: &str| {
        let text = object.get(key).and_then(Value::as_str);
        text.ok_or_else(|| format!("{key:?} is missing, or no text"))
    };
    let method = match object.contains_key("method") {
        true => text("method")?,
        false => "GET",
    };
    let method = Method::try_from(method).map_err(|_| format!("{method:?} is no method"))?;
    let url = text("url")?;
    let url = Uri::try_from(url).map_err(|it| format!("{url:?} is no URL: {it}"))?;
    let mut headers = Vec::new();
    if let Some(written) = object.get("headers").filter(|it| !it.is_null()) {
        let form = "\"headers\" are [[name, value], …]";
        for header in written.as_array().ok_or(form)? {
            let pair = header.as_array().map(Vec::as_slice);
            let Some([Value::String(name), Value::String(value)]) = pair else {
                return Err(form.to_owned());
            };
            headers.push(header_of(name, value)?);
        }
    }
    request(method, url, headers)
}

/// Prints one explanation; nobody reading it is no failure.
fn tell(arguments: &Arguments, explanation: &Explanation, first: bool) {
    let mut out = std::io::stdout().lock();
    let _ = match (arguments.json, first) {
        (true, _) => serde_json::to_writer(&mut out, explanation)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out)),
        (false, true) => writeln!(out, "{explanation}"),
        (false, false) => writeln!(out, "\n{explanation}"),
    };
}
