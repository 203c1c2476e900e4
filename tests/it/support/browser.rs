//! A real browser: Chromium without a window, driven over WebDriver (W3C, 2018).

use std::{fmt::Write as _, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{peer, server::Server};

/// A browser with one window. Dropping it ends the browser, then its driver.
#[derive(Debug)]
pub(crate) struct Browser {
    agent: ureq::Agent,
    session: String,
    _driver: Server,
    _profile: TempDir,
}

/// The named keys of WebDriver ("Keyboard Actions").
pub(crate) mod key {
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const BACKSPACE: &str = "\u{e003}";
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const RIGHT: &str = "\u{e014}";
}

impl Browser {
    /// Starts one, or nothing after saying that the running test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let (chromium, driver) = (peer::find("chromium")?, peer::find("chromedriver")?);
        let profile = TempDir::new().unwrap();
        // It tells its port on stdout.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" --port=0 >&2"]).arg(driver);
        // What they leave behind goes with the profile.
        command.env("TMPDIR", profile.path());
        let ready = "started successfully on port ";
        let (driver, line) = Server::start(&mut command, ready);
        let port = line.rsplit(ready).next().unwrap().trim().trim_end_matches('.');
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = agent.build().into();
        let mut browser = Browser {
            agent,
            session: format!("http://127.0.0.1:{port}/session"),
            _driver: driver,
            _profile: profile,
        };
        let data = format!("--user-data-dir={}", browser._profile.path().display());
        let mut args = vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", &data];
        if rustix::process::geteuid().is_root() {
            args.push("--no-sandbox");
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": chromium, "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let session = browser.post("", &capabilities);
        let id = session["sessionId"].as_str().expect("a session");
        let _ = write!(browser.session, "/{id}");
        // What its own first page does is none of ours.
        browser.post("/url", &json!({ "url": "about:blank" }));
        browser.log("performance");
        Some(browser)
    }

    /// Sends a command; it must be done.
    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.session));
        let request = request.header("content-type", "application/json");
        let text = request.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {text}");
        answer["value"].clone()
    }

    /// Opens a file.
    pub(crate) fn open(&self, file: &Path) {
        self.post("/url", &json!({ "url": format!("file://{}", file.display()) }));
    }

    /// Opens the page again.
    pub(crate) fn reload(&self) {
        self.post("/refresh", &json!({}));
    }

    /// Returns the result of `script`, the body of a function; of a promise, its value.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until `condition` holds, of which the page sees each frame.
    #[track_caller]
    pub(crate) fn wait(&self, condition: &str) {
        let script = format!(
            "const end = performance.now() + 20000;
             const look = async () => {{
               while (performance.now() < end) {{
                 if ({condition}) return true;
                 await new Promise(requestAnimationFrame);
               }}
               return false;
             }};
             return look();"
        );
        assert_eq!(self.run(&script), true, "{condition}");
    }

    /// Presses and releases keys, one after the other.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let each = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let actions = json!([{ "type": "key", "id": "keys", "actions": each.collect::<Vec<_>>() }]);
        self.post("/actions", &json!({ "actions": actions }));
    }

    /// Moves the pointer to a point of the window.
    #[track_caller]
    pub(crate) fn point(&self, x: f64, y: f64) {
        self.pointer(&[json!({ "type": "pointerMove", "x": x as i64, "y": y as i64 })]);
    }

    /// Clicks where the pointer is.
    #[track_caller]
    pub(crate) fn click(&self) {
        let down = json!({ "type": "pointerDown", "button": 0 });
        self.pointer(&[down, json!({ "type": "pointerUp", "button": 0 })]);
    }

    fn pointer(&self, actions: &[Value]) {
        let mouse = json!([{ "type": "pointer", "id": "mouse", "actions": actions }]);
        self.post("/actions", &json!({ "actions": mouse }));
    }

    /// Returns a command of the Chrome DevTools Protocol.
    #[track_caller]
    pub(crate) fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// The size of the window, and which colours it prefers.
    pub(crate) fn show(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.cdp("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "media": "", "features": features }));
    }

    /// Returns the log since the last call: `browser` or `performance`.
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({ "type": kind }));
        entries.as_array().expect("a list of entries").clone()
    }

    /// Writes a picture of the window.
    pub(crate) fn picture(&self, file: &Path) {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let shot = self.cdp("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.agent.delete(&self.session).call());
    }
}
