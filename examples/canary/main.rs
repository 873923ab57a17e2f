//! A canary release, played out on this machine: two versions of a service, real
//! sockets between them, and rules that change while requests are under way.
//!
//! ```text
//! cargo run --release --example canary            # watch it
//! cargo run --release --example canary -- --json  # for a script
//! ```
//!
//! The rules are the YAML files beside this program, as they would be applied to a
//! cluster. Everything stays on the loopback interface and ends by itself.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

mod phase;
mod upstream;

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tower_mesh::api::{Resources, Spec};
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use phase::{Phase, Play};
use upstream::Upstream;

const MESH: &str = include_str!("mesh.yaml");

/// Plays a canary release: all to v1, half and half, v2 for testers, nine to one.
#[derive(Debug, Parser)]
#[command(name = "canary", version)]
struct Arguments {
    /// Print one JSON object instead of a picture
    #[arg(long)]
    json: bool,
    /// How many requests each phase sends
    #[arg(long, default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(300..=100_000))]
    requests: u64,
    /// Roll repeatable dice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const PHASES: [Phase; 4] = [
    Phase {
        name: "all-v1",
        about: "every request to v1",
        rules: include_str!("all-v1.yaml"),
        v2_percent: 0,
        testers: false,
    },
    Phase {
        name: "split-50-50",
        about: "half to v1, half to v2",
        rules: include_str!("split-50-50.yaml"),
        v2_percent: 50,
        testers: false,
    },
    Phase {
        name: "header-debug",
        about: "v2 for requests with `user: debug`, which every second one carries",
        rules: include_str!("header-debug.yaml"),
        v2_percent: 50,
        testers: true,
    },
    Phase {
        name: "shift-90-10",
        about: "nine to v1, one to v2; applied anew while requests are under way",
        rules: include_str!("shift-90-10.yaml"),
        v2_percent: 10,
        testers: false,
    },
];

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let upstreams = [Upstream::start("v1").await?, Upstream::start("v2").await?];

    let mut builder = Mesh::builder().resources(rules(PHASES[0].rules, &upstreams));
    if let Some(seed) = arguments.seed {
        builder = builder.rng(Rng::seeded(seed));
    }
    let (mesh, _) = builder.build()?;

    let mut play = Play {
        mesh,
        upstreams,
        requests: arguments.requests,
        live: !arguments.json && std::io::stdout().is_terminal(),
        quiet: arguments.json,
    };
    let mut played = Vec::new();
    for phase in &PHASES {
        played.push(play.phase(phase).await?);
    }

    let lost: u64 = played.iter().map(|it| it.lost).sum();
    let ok = played.iter().all(|it| it.ok);
    if arguments.json {
        let phases: Vec<_> = played.iter().map(phase::Played::to_json).collect();
        println!("{}", json!({"phases": phases, "lost": lost, "ok": ok}));
    } else if ok {
        println!("\nAll phases within their tolerance, no request lost.");
    } else {
        println!("\nNot every phase went as its rules say; see above. Requests lost: {lost}.");
    }
    Ok(match ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The mesh and one phase's rules, with the ports the upstreams were given.
fn rules(rules: &str, upstreams: &[Upstream; 2]) -> Resources {
    let mut resources = Resources::from_yaml("mesh.yaml", MESH);
    resources.append(Resources::from_yaml("rules.yaml", rules));
    for resource in resources.iter_mut() {
        let Spec::ServiceEntry(entry) = &mut resource.spec else {
            continue;
        };
        for endpoint in &mut entry.endpoints {
            let version = endpoint.labels.get("version").map(String::as_str);
            if let Some(upstream) = upstreams.iter().find(|it| Some(it.version) == version) {
                endpoint
                    .ports
                    .insert("http".to_owned(), upstream.port.into());
            }
        }
    }
    resources
}
