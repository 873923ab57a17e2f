//! Who asks for names, where several threads want them at once.

use std::sync::Barrier;

use tokio::time::Instant;
use tower_mesh::endpoint::Endpoint;

use crate::dns::{Script, builder, dns};
use crate::support::{build, who};

const THREADS: u8 = 4;

/// Each name is asked for by one task, however many changes come at the same moment.
#[test]
fn changes_that_come_at_once_have_a_name_asked_for_once() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build();
    let runtime = runtime.unwrap();
    for round in 0..300 {
        let script = Script::default();
        script.say("a.com", &[1]);
        // Nobody can ask for it yet.
        let mesh = build(builder(&script), &dns("a.com"));
        let barrier = Barrier::new(usize::from(THREADS));
        std::thread::scope(|scope| {
            for n in 0..THREADS {
                let (mesh, barrier, runtime) = (&mesh, &barrier, runtime.handle());
                scope.spawn(move || {
                    let _entered = runtime.enter();
                    let host = format!("{n}.other");
                    barrier.wait();
                    mesh.set_endpoints(&host, 80, Vec::<Endpoint>::new());
                });
            }
        });
        runtime.block_on(async {
            let began = Instant::now();
            mesh.ready().await;
            assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
            assert_eq!(script.asked("a.com", began).len(), 1, "round {round}");
        });
    }
}
