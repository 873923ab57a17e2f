//! Programs the suite starts: where they are found, what they say, and their end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How long a program may take to become ready, or to write down what it has done.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often something that has no signal is looked at.
const PAUSE: Duration = Duration::from_millis(3);

/// A running program; it is killed and waited for when dropped.
pub(crate) struct Program {
    child: Child,
    folder: Folder,
}

impl Program {
    /// Starts a program; what it says on standard error is kept in its folder.
    pub(crate) fn start(mut command: Command, folder: Folder) -> Self {
        let errors = std::fs::File::create(folder.file("stderr")).expect("a file for stderr");
        command.stdin(Stdio::null()).stderr(errors);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, folder }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The rest of the first line on standard output that begins so.
    ///
    /// Everything after it is read and dropped, so that the program never blocks on it.
    pub(crate) fn line(&mut self, beginning: &'static str) -> String {
        let output = self.child.stdout.take().expect("standard output is piped");
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(beginning) {
                    let _ = send.send(rest.to_owned());
                }
            }
        });
        let found = receive.recv_timeout(PATIENCE);
        found.unwrap_or_else(|_| self.fail(&format!("it never said {beginning:?}")))
    }

    /// Looks again and again until there is something; a program that has ended fails at once.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        if let Some(found) = poll(PATIENCE, || {
            let ended = self
                .child
                .try_wait()
                .expect("a child can be asked")
                .is_some();
            look().map(Some).or_else(|| ended.then_some(None))
        }) {
            return found.unwrap_or_else(|| self.fail(&format!("it ended before {what}")));
        }
        self.fail(&format!("no {what} in {PATIENCE:?}"))
    }

    /// Panics with what the program said last.
    pub(crate) fn fail(&self, why: &str) -> ! {
        let errors = std::fs::read(self.folder.file("stderr")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors);
        let from = errors.len().saturating_sub(3000);
        let end = errors.get(from..).unwrap_or(&errors);
        panic!("{}: {why}\n{end}", self.folder.name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something or the time is over.
pub(crate) fn poll<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = tokio::time::Instant::now() + patience;
    loop {
        let found = look();
        if found.is_some() || tokio::time::Instant::now() > end {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
}

/// A folder of its own for each program, under cargo's folder for test files.
///
/// It goes when the program goes, unless the test has failed: then it stays to be looked at.
pub(crate) struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(program: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{program}-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        std::fs::create_dir_all(&path).expect("a folder for test files");
        Self { name, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file whole or not at all, as seen from others.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let (hidden, file) = (self.file(".new"), self.file(name));
        std::fs::write(&hidden, content).expect("a test file is written");
        std::fs::rename(&hidden, &file).expect("a test file is moved");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Left-over test files harm nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The Envoy to compare with: `TOWER_MESH_ENVOY`, else what `ci/envoy` installed.
pub(crate) fn envoy() -> PathBuf {
    if let Some(path) = std::env::var_os("TOWER_MESH_ENVOY") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "TOWER_MESH_ENVOY: no file {}",
            path.display()
        );
        return path;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".envoy/bin/envoy");
    assert!(
        path.is_file(),
        "there is no Envoy to compare with: run ci/envoy, or set TOWER_MESH_ENVOY to a binary of Envoy 1.40"
    );
    path
}

/// The example program `gateway` of this build: `TOWER_MESH_GATEWAY`, else beside this test.
pub(crate) fn gateway() -> PathBuf {
    if let Some(path) = std::env::var_os("TOWER_MESH_GATEWAY") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a folder of the build profile");
    let path = profile.join("examples").join("gateway");
    let command = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "cargo build --example gateway".to_owned(),
        Some("release") => "cargo build --release --example gateway".to_owned(),
        Some(other) => format!("cargo build --profile {other} --example gateway"),
    };
    assert!(
        path.is_file(),
        "there is no {}: run {command}",
        path.display()
    );
    if let Some(newer) = newer_source(&path) {
        panic!("{} is older than {newer}: run {command}", path.display());
    }
    path
}

/// A source of a program that changed after the program was built, by cargo's list of them.
fn newer_source(program: &Path) -> Option<String> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    let built = changed(program)?;
    let list = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    // A space inside a path is written with a backslash before it.
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().map(|it| it.replace('\0', " "));
    sources.find(|source| changed(Path::new(source)).is_some_and(|time| time > built))
}
