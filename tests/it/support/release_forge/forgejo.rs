//! Forgejo and Gitea: the API's own description, such as <https://codeberg.org/api/swagger#/repository>.

use serde_json::{Value, json};

use super::{Access, Answer, Asked, Asset, Release, State};

/// The fields of `CreateReleaseOption` and `EditReleaseOption`.
const FIELDS: [&str; 7] =
    ["tag_name", "target_commitish", "name", "body", "draft", "prerelease", "hide_archive_links"];

/// `Attachment`: without a digest.
fn asset_json(base: &str, release: &Release, asset: &Asset) -> Value {
    json!({
        "id": asset.id,
        "name": asset.name,
        "size": asset.bytes.len(),
        "download_count": 0,
        "uuid": format!("uuid-{}", asset.id),
        "type": "attachment",
        "browser_download_url":
            format!("{base}/me/hello/releases/download/{}/{}", release.tag, asset.name),
    })
}

fn release_json(base: &str, release: &Release) -> Value {
    let assets = release.assets.iter();
    let assets: Vec<_> = assets.map(|asset| asset_json(base, release, asset)).collect();
    json!({
        "id": release.id,
        "tag_name": release.tag,
        "name": release.title,
        "body": release.notes,
        "html_url": format!("{base}/me/hello/releases/tag/{}", release.tag),
        "draft": release.draft,
        "prerelease": release.prerelease,
        "published_at": release.date,
        "assets": assets,
    })
}

pub(super) fn respond(asked: &Asked, path: &[&str], state: &mut State) -> Answer {
    let base = &asked.base;
    let method = asked.method.as_str();
    let visible = |release: &&Release| !release.draft || asked.access == Access::Write;
    match (method, path) {
        ("GET", ["me", "hello", "releases", "download", tag, name]) => {
            let release = state.releases.iter().find(|one| !one.draft && one.tag == *tag);
            let asset = release.and_then(|one| one.assets.iter().find(|a| a.name == *name));
            asset.map_or(Answer::empty(404), |asset| Answer::bytes(&asset.bytes))
        }
        // Attachments of drafts are for those that may write.
        ("GET", ["attachments", uuid]) => {
            let releases = state.releases.iter().filter(visible);
            let mut assets = releases.flat_map(|release| &release.assets);
            let asset = assets.find(|asset| format!("uuid-{}", asset.id) == *uuid);
            asset.map_or(Answer::empty(404), |asset| Answer::bytes(&asset.bytes))
        }
        (_, ["api", "v1", "repos", "me", "hello", rest @ ..]) => match (method, rest) {
            ("GET", []) => Answer::new(200, json!({ "full_name": "me/hello" })),
            ("GET", ["tags", tag]) => match state.tags.get(*tag) {
                None => Answer::message(404, "Not Found"),
                Some((commit, _)) => {
                    Answer::new(200, json!({ "name": tag, "commit": { "sha": commit } }))
                }
            },
            ("GET", ["releases"]) => {
                let all = state.releases.iter().filter(visible).rev();
                let all = all.map(|one| release_json(base, one)).collect();
                asked.page(all, "limit", 50)
            }
            ("POST", ["releases"]) => create(asked, state),
            ("GET", ["releases", id]) => {
                let found =
                    state.releases.iter().filter(visible).find(|one| one.id.to_string() == *id);
                found.map_or(Answer::message(404, "Not Found"), |one| {
                    Answer::new(200, release_json(base, one))
                })
            }
            ("PATCH", ["releases", id]) => update(asked, id, state),
            ("POST", ["releases", id, "assets"]) => upload(asked, id, state),
            ("DELETE", ["releases", id, "assets", asset]) => delete_asset(id, asset, state),
            _ => Answer::message(404, "Not Found"),
        },
        _ => Answer::message(404, "Not Found"),
    }
}

fn fields(asked: &Asked, state: &mut State) -> Option<Value> {
    let body = asked.json().filter(Value::is_object)?;
    for name in body.as_object()?.keys() {
        if !FIELDS.contains(&name.as_str()) {
            state.forbid(format!("`{name}` is not a field"));
        }
    }
    Some(body)
}

/// "409: the release already exists": a tag has one release, drafts included.
fn create(asked: &Asked, state: &mut State) -> Answer {
    let Some(body) = fields(asked, state) else { return Answer::message(422, "[]: invalid") };
    let Some(tag) = body["tag_name"].as_str() else {
        return Answer::message(422, "[TagName]: Required");
    };
    if state.releases.iter().any(|release| release.tag == tag) {
        return Answer::message(409, "Release is has no Tag");
    }
    if body["draft"] != true {
        state.forbid("a release was created that is public before it has its files".to_owned());
    }
    let tag = tag.to_owned();
    state.add(&tag, body["draft"] == true, &[]);
    let release = state.releases.last_mut().unwrap();
    release.title = body["name"].as_str().unwrap_or_default().to_owned();
    release.notes = body["body"].as_str().unwrap_or_default().to_owned();
    release.prerelease = body["prerelease"] == true;
    Answer::new(201, release_json(&asked.base, release))
}

fn update(asked: &Asked, id: &str, state: &mut State) -> Answer {
    let Some(body) = fields(asked, state) else { return Answer::message(422, "[]: invalid") };
    let Some(at) = state.releases.iter().position(|one| one.id.to_string() == id) else {
        return Answer::message(404, "Not Found");
    };
    if !state.releases[at].draft {
        state.forbid("a published release was changed".to_owned());
    }
    let release = &mut state.releases[at];
    release.title = body["name"].as_str().unwrap_or(&release.title).to_owned();
    release.notes = body["body"].as_str().unwrap_or(&release.notes).to_owned();
    release.prerelease = body["prerelease"].as_bool().unwrap_or(release.prerelease);
    release.draft = body["draft"].as_bool().unwrap_or(release.draft);
    Answer::new(200, release_json(&asked.base, release))
}

/// The only part of the form (RFC 7578): its field `attachment`.
fn form_part(asked: &Asked) -> Option<Vec<u8>> {
    let kind = asked.header("content-type");
    let boundary = kind.strip_prefix("multipart/form-data; boundary=")?;
    let body = asked.body.strip_prefix(format!("--{boundary}\r\n").as_bytes())?;
    let body = body.strip_suffix(format!("\r\n--{boundary}--\r\n").as_bytes())?;
    let head = body.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8(body[..head].to_vec()).ok()?;
    let disposition = text.lines().find_map(|line| line.strip_prefix("Content-Disposition: "))?;
    let named = disposition.starts_with("form-data; name=\"attachment\"; filename=\"");
    named.then(|| body[head + 4..].to_vec())
}

/// A second file of one name is accepted, as by the servers.
fn upload(asked: &Asked, id: &str, state: &mut State) -> Answer {
    let Some(at) = state.releases.iter().position(|one| one.id.to_string() == id) else {
        return Answer::message(404, "Not Found");
    };
    let Some(name) = asked.query.get("name").cloned() else {
        return Answer::message(400, "there is no name");
    };
    if !asked.complete {
        return Answer::message(500, "unexpected EOF");
    }
    let Some(bytes) = form_part(asked) else {
        return Answer::message(400, "there is no attachment");
    };
    let bytes = state.stored(bytes);
    if !state.releases[at].draft {
        state.forbid(format!("`{name}` was sent to a published release"));
    }
    let asset = Asset { id: state.id(), name, state: "uploaded", bytes };
    state.releases[at].assets.push(asset.clone());
    Answer::new(201, asset_json(&asked.base, &state.releases[at], &asset))
}

fn delete_asset(id: &str, asset: &str, state: &mut State) -> Answer {
    let Some(at) = state.releases.iter().position(|one| one.id.to_string() == id) else {
        return Answer::message(404, "Not Found");
    };
    if !state.releases[at].draft {
        state.forbid("a file of a published release was deleted".to_owned());
    }
    let assets = &mut state.releases[at].assets;
    let Some(asset) = assets.iter().position(|one| one.id.to_string() == asset) else {
        return Answer::message(404, "Not Found");
    };
    assets.remove(asset);
    Answer::empty(204)
}
