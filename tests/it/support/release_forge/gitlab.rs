//! GitLab: <https://docs.gitlab.com/api/releases/>, <https://docs.gitlab.com/api/packages/>,
//! <https://docs.gitlab.com/user/packages/generic_packages/>.

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use super::{Answer, Asked, PackageFile, Release, State};

/// The attributes of "Create a release".
const FIELDS: [&str; 9] = [
    "name",
    "tag_name",
    "tag_message",
    "description",
    "ref",
    "milestones",
    "assets",
    "released_at",
    "legacy_catalog_publish",
];

fn release_json(base: &str, release: &Release) -> Value {
    let links: Vec<_> = release
        .links
        .iter()
        .map(|(id, name, url)| json!({ "id": id, "name": name, "url": url, "link_type": "other" }))
        .collect();
    json!({
        "tag_name": release.tag,
        "name": release.title,
        "description": release.notes,
        "released_at": release.date,
        "upcoming_release": false,
        "assets": { "count": links.len(), "links": links },
        "_links": { "self": format!("{base}/me/group/hello/-/releases/{}", release.tag) },
    })
}

fn file_json(file: &PackageFile) -> Value {
    json!({
        "id": file.id,
        "package_id": 1,
        "file_name": file.name,
        "size": file.bytes.len(),
        "file_sha256": Digest::sha256(&file.bytes).hex(),
    })
}

pub(super) fn respond(asked: &Asked, path: &[&str], state: &mut State) -> Answer {
    let ["api", "v4", "projects", "me/group/hello", rest @ ..] = path else {
        return Answer::message(404, "404 Project Not Found");
    };
    match (asked.method.as_str(), rest) {
        ("GET", []) => Answer::new(200, json!({ "path_with_namespace": "me/group/hello" })),
        ("GET", ["repository", "tags", tag]) => match state.tags.get(*tag) {
            // The token of a job does not show the repository.
            _ if !asked.header("job-token").is_empty() => Answer::message(404, "404 Not Found"),
            None => Answer::message(404, "404 Tag Not Found"),
            Some((commit, _)) => {
                Answer::new(200, json!({ "name": tag, "commit": { "id": commit } }))
            }
        },
        ("GET", ["releases"]) => {
            let all = state.releases.iter().rev();
            asked.page(all.map(|one| release_json(&asked.base, one)).collect(), "per_page", 100)
        }
        ("GET", ["releases", tag]) => {
            let found = state.releases.iter().find(|one| one.tag == *tag);
            found.map_or(Answer::message(404, "404 Not Found"), |one| {
                Answer::new(200, release_json(&asked.base, one))
            })
        }
        ("POST", ["releases"]) => create(asked, state),
        // The name is searched for.
        ("GET", ["packages"]) => {
            let mut versions: Vec<_> = state.packages.iter().map(|file| &file.version).collect();
            versions.dedup();
            let all = versions
                .iter()
                .enumerate()
                .map(|(at, version)| json!({ "id": at + 1, "name": "hello", "version": version }));
            let other = json!({ "id": 99, "name": "hello-extra", "version": "1.2.3" });
            asked.page(all.chain([other]).collect(), "per_page", 100)
        }
        ("GET", ["packages", id, "package_files"]) => {
            let files = state.packages.iter().filter(|_| *id == "1").map(file_json);
            asked.page(files.collect(), "per_page", 100)
        }
        ("PUT", ["packages", "generic", package, version, name]) => {
            upload(asked, (package, version, name), state)
        }
        // "If there are several files of the name, the newest is downloaded."
        ("GET", ["packages", "generic", "hello", version, name]) => {
            let newest = state.packages.iter().rev();
            let mut newest = newest.filter(|file| file.name == *name && file.version == *version);
            newest.next().map_or(Answer::empty(404), |file| Answer::bytes(&file.bytes))
        }
        _ => Answer::message(404, "404 Not Found"),
    }
}

fn upload(
    asked: &Asked,
    (package, version, name): (&str, &str, &str),
    state: &mut State,
) -> Answer {
    let plain = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
        text.chars().all(allowed) && !text.contains("..")
    };
    if ![package, version, name].iter().all(|text| plain(text)) {
        return Answer::message(400, "file_name is invalid");
    }
    if !asked.complete {
        return Answer::message(500, "500 Internal Server Error");
    }
    if state.releases.iter().any(|release| release.tag == format!("v{version}")) {
        state.forbid(format!("`{name}` was sent after the release was published"));
    }
    let id = state.id();
    let file = PackageFile {
        id,
        version: version.to_owned(),
        name: name.to_owned(),
        bytes: state.stored(asked.body.clone()),
    };
    state.packages.push(file.clone());
    match asked.query.get("select").map(String::as_str) {
        Some("package_file") => Answer::new(201, file_json(&file)),
        _ => Answer::message(201, "201 Created"),
    }
}

fn create(asked: &Asked, state: &mut State) -> Answer {
    let Some(body) = asked.json().filter(Value::is_object) else {
        return Answer::message(400, "400 Bad Request");
    };
    for name in body.as_object().unwrap().keys() {
        if !FIELDS.contains(&name.as_str()) {
            state.forbid(format!("`{name}` is not an attribute"));
        }
    }
    let tag = body["tag_name"].as_str().unwrap_or_default().to_owned();
    // "ref: required if the tag doesn't exist".
    if !state.tags.contains_key(&tag) {
        return Answer::message(422, "Ref is not specified");
    }
    if state.releases.iter().any(|release| release.tag == tag) {
        return Answer::message(409, "Release already exists");
    }
    let mut links = Vec::new();
    for link in body["assets"]["links"].as_array().into_iter().flatten() {
        let text = |key: &str| link[key].as_str().unwrap_or_default().to_owned();
        let kinds = ["other", "runbook", "image", "package"];
        let path = text("direct_asset_path");
        let ends = path.ends_with(|c: char| c.is_ascii_alphanumeric());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        if !kinds.contains(&&*text("link_type"))
            || !(path.is_empty() || path.starts_with('/') && ends && path.chars().all(plain))
        {
            return Answer::new(
                400,
                json!({ "message": { "filepath": ["is in an invalid format"] } }),
            );
        }
        links.push((state.id(), text("name"), text("url")));
    }
    state.add(&tag, false, &[]);
    let latest = &state.latest;
    let newest = body["released_at"].is_null() || latest.is_none();
    let release = state.releases.last_mut().unwrap();
    release.title = body["name"].as_str().unwrap_or_default().to_owned();
    release.notes = body["description"].as_str().unwrap_or_default().to_owned();
    release.date = body["released_at"].as_str().unwrap_or("2026-06-01T00:00:00Z").to_owned();
    release.links = links;
    let answer = Answer::new(201, release_json(&asked.base, release));
    if newest {
        state.latest = Some(tag);
    }
    answer
}
