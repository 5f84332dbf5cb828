//! A PostgreSQL server of the test's own, on a free port of the loopback device, gone when the test is.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A server takes a second to start; a busy machine may need many times that.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A server that dies with the test, however the test dies.
pub(crate) struct PostgresServer {
    programs: PathBuf,
    /// Whom the server runs as, where the test is root, which it refuses to be.
    user: Option<&'static str>,
    folder: TempDir,
    port: u16,
    guard: Mutex<Option<Child>>,
}

/// Returns a server that all tests of this process share while one of them uses it, or `None`, visibly, where
/// PostgreSQL is not installed. Where the variable `CI` is set that fails instead.
pub(crate) fn server() -> Option<Arc<PostgresServer>> {
    static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(PostgresServer::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

impl PostgresServer {
    /// Starts a server for one test alone.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let message = "PostgreSQL (initdb and postgres) is not installed";
            assert!(std::env::var_os("CI").is_none(), "{message}");
            eprintln!("SKIPPED: {message}");
            return None;
        };
        // Short, since a path may end up in the name of a socket.
        let folder = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .expect("there is room in /tmp");
        let is_root = fs::metadata(folder.path()).expect("it was made").uid() == 0;
        let server = Self {
            programs,
            user: is_root.then_some("postgres"),
            port: free_port(),
            folder,
            guard: Mutex::new(None),
        };
        server.initialise();
        server.go();
        Some(server)
    }

    /// Returns the URL of a new, empty database.
    pub(crate) async fn database(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&self.url("postgres")).await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("the name is a new one");
        self.url(&name)
    }

    /// Stops the server, as an administrator does who does not wait for anybody, and starts it again.
    pub(crate) fn restart(&self) {
        self.stop();
        self.go();
    }

    /// Ends the server as a crash does, without a word to anybody, and starts it again.
    pub(crate) fn crash_and_restart(&self) {
        let leader = self.data().join("postmaster.pid");
        let leader = fs::read_to_string(leader).expect("it runs");
        let mut kill = Command::new("kill");
        kill.args([
            "-QUIT",
            leader.lines().next().expect("its process is there"),
        ]);
        assert!(kill.status().expect("there is `kill`").success());
        self.stop();
        self.go();
    }

    /// Has the server speak TLS too, with a certificate made as its manual says. Returns the file of that.
    pub(crate) async fn speak_tls(&self) -> PathBuf {
        let output = self
            .as_user("openssl")
            .current_dir(self.data())
            .args([
                "req",
                "-new",
                "-x509",
                "-days",
                "2",
                "-nodes",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-out", "server.crt", "-keyout", "server.key"])
            .output()
            .expect("openssl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl: {said}");
        let admin = connect(&self.url("postgres")).await;
        let sql = "ALTER SYSTEM SET ssl = on";
        admin.batch_execute(sql).await.expect("it may");
        self.restart();
        self.data().join("server.crt")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn initialise(&self) {
        if let Some(user) = self.user {
            let id = |flag| {
                let output = Command::new("id").args([flag, user]).output();
                let output = output.expect("there is `id`");
                String::from_utf8_lossy(&output.stdout).trim().parse().ok()
            };
            chown(self.folder.path(), id("-u"), id("-g")).expect("root may");
        }
        let output = self
            .program("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "-D"])
            .arg(self.data())
            .output()
            .expect("initdb starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {said}");
    }

    /// Starts the server under a shell that stops it when its input ends, as it does when this process dies.
    pub(crate) fn go(&self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("there is room");
        let server = self.program("postgres");
        let child = Command::new("sh")
            .arg("-c")
            .arg(
                "\"$@\" <&- & server=$!; cat >/dev/null; kill -INT $(head -1 \"$0\") 2>/dev/null; wait $server",
            )
            .arg(self.data().join("postmaster.pid"))
            .arg(server.get_program())
            .args(server.get_args())
            .arg("-D")
            .arg(self.data())
            .args(["-F", "-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "shared_buffers=16MB"])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("it is a file"))
            .stderr(log)
            .spawn()
            .expect("there is a shell");
        *self.locked() = Some(child);
        let deadline = Instant::now() + STARTS_WITHIN;
        while !self.is_ready() {
            assert!(Instant::now() < deadline, "not started: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server, and waits until it is gone.
    pub(crate) fn stop(&self) {
        if let Some(mut child) = self.locked().take() {
            drop(child.stdin.take());
            child.wait().expect("it is ours");
        }
    }

    fn is_ready(&self) -> bool {
        let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        status
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        self.as_user(self.programs.join(name))
    }

    fn as_user(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.folder.path());
        command
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Connects to a database, to look at it from beside the library.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server is there");
    tokio::spawn(connection);
    client
}

/// Returns the folder of the server's programs: where they are on the path, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").ok();
    let versions = versions.into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(versions.map(|version| version.path().join("bin")))
        .find(|folder| has(folder, "initdb") && has(folder, "postgres"))
}

fn has(folder: &Path, name: &str) -> bool {
    fs::metadata(folder.join(name)).is_ok_and(|found| found.is_file())
}

fn free_port() -> u16 {
    let port = || -> io::Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
    port().expect("a port is free")
}
