//! GitHub: <https://docs.github.com/rest/releases>.

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use super::{Access, Answer, Asked, Asset, Release, State};

/// The parameters of "Create a release" and "Update a release".
const FIELDS: [&str; 9] = [
    "tag_name",
    "target_commitish",
    "name",
    "body",
    "draft",
    "prerelease",
    "discussion_category_name",
    "generate_release_notes",
    "make_latest",
];

fn asset_json(base: &str, release: &Release, asset: &Asset, digests: bool) -> Value {
    let digest = Digest::sha256(&asset.bytes).to_string();
    json!({
        "url": format!("{base}/api/v3/repos/me/hello/releases/assets/{}", asset.id),
        "browser_download_url":
            format!("{base}/me/hello/releases/download/{}/{}", release.tag, asset.name),
        "id": asset.id,
        "name": asset.name,
        "label": null,
        "state": asset.state,
        "content_type": "application/octet-stream",
        "size": asset.bytes.len(),
        "digest": (digests && asset.state == "uploaded").then_some(digest),
    })
}

fn release_json(base: &str, release: &Release, digests: bool) -> Value {
    let assets = release.assets.iter();
    let assets: Vec<_> = assets.map(|asset| asset_json(base, release, asset, digests)).collect();
    json!({
        "url": format!("{base}/api/v3/repos/me/hello/releases/{}", release.id),
        "html_url": format!("{base}/me/hello/releases/tag/{}", release.tag),
        "upload_url":
            format!("{base}/api/uploads/repos/me/hello/releases/{}/assets{{?name,label}}", release.id),
        "id": release.id,
        "tag_name": release.tag,
        "target_commitish": "main",
        "name": release.title,
        "body": release.notes,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "immutable": release.immutable,
        "published_at": (!release.draft).then_some(&release.date),
        "assets": assets,
    })
}

fn invalid(resource: &str, code: &str, field: &str) -> Answer {
    let error = json!({ "resource": resource, "code": code, "field": field });
    Answer::new(422, json!({ "message": "Validation Failed", "errors": [error] }))
}

pub(super) fn respond(asked: &Asked, path: &[&str], state: &mut State) -> Answer {
    let base = &asked.base;
    let method = asked.method.as_str();
    let visible = |release: &&Release| !release.draft || asked.access == Access::Write;
    let digests = state.digests;
    match (method, path) {
        // "Release assets can be downloaded by everyone once the release is published."
        ("GET", ["me", "hello", "releases", "download", tag, name]) => {
            let release = state.releases.iter().find(|one| !one.draft && one.tag == *tag);
            let asset = release.and_then(|one| one.assets.iter().find(|a| a.name == *name));
            asset.map_or(Answer::empty(404), |asset| {
                Answer::redirect(format!("{base}/storage/{}", Digest::sha256(&asset.bytes).hex()))
            })
        }
        ("POST", ["api", "uploads", "repos", "me", "hello", "releases", id, "assets"]) => {
            upload(asked, id, state)
        }
        (_, ["api", "v3", "repos", "me", "hello", rest @ ..]) => match (method, rest) {
            ("GET", []) => Answer::new(200, json!({ "full_name": "me/hello" })),
            // https://docs.github.com/rest/git/refs#get-a-reference
            ("GET", ["git", "ref", "tags", tag]) => match state.tags.get(*tag) {
                None => Answer::message(404, "Not Found"),
                Some((_, true)) => Answer::new(
                    200,
                    json!({ "object": { "type": "tag", "sha": format!("object-of-{tag}") } }),
                ),
                Some((commit, false)) => {
                    Answer::new(200, json!({ "object": { "type": "commit", "sha": commit } }))
                }
            },
            // https://docs.github.com/rest/git/tags#get-a-tag
            ("GET", ["git", "tags", object]) => {
                let tag = object.trim_start_matches("object-of-");
                let commit = &state.tags[tag].0;
                Answer::new(200, json!({ "object": { "type": "commit", "sha": commit } }))
            }
            ("GET", ["releases"]) => {
                let all = state.releases.iter().filter(visible).rev();
                let all = all.map(|one| release_json(base, one, digests)).collect();
                asked.page(all, "per_page", 100)
            }
            ("POST", ["releases"]) => create(asked, state),
            ("GET", ["releases", "assets", id]) => content(asked, id, state),
            ("DELETE", ["releases", "assets", id]) => delete_asset(id, state),
            ("GET", ["releases", id]) => {
                let found =
                    state.releases.iter().filter(visible).find(|one| one.id.to_string() == *id);
                found.map_or(Answer::message(404, "Not Found"), |one| {
                    Answer::new(200, release_json(base, one, digests))
                })
            }
            ("GET", ["releases", id, "assets"]) => {
                let found =
                    state.releases.iter().filter(visible).find(|one| one.id.to_string() == *id);
                let Some(release) = found else { return Answer::message(404, "Not Found") };
                let all = release.assets.iter();
                let all = all.map(|asset| asset_json(base, release, asset, digests)).collect();
                asked.page(all, "per_page", 100)
            }
            ("PATCH", ["releases", id]) => update(asked, id, state),
            ("DELETE", ["releases", id]) => {
                let at = state.releases.iter().position(|one| one.id.to_string() == *id);
                let Some(at) = at else { return Answer::message(404, "Not Found") };
                if !state.releases[at].draft {
                    state.forbid("a published release was deleted".to_owned());
                }
                state.releases.remove(at);
                Answer::empty(204)
            }
            _ => Answer::message(404, "Not Found"),
        },
        _ => Answer::message(404, "Not Found"),
    }
}

fn fields(asked: &Asked, state: &mut State) -> Result<Value, Answer> {
    let body = asked.json().filter(Value::is_object);
    let Some(body) = body else { return Err(Answer::message(400, "Problems parsing JSON")) };
    for name in body.as_object().unwrap().keys() {
        if !FIELDS.contains(&name.as_str()) {
            state.forbid(format!("`{name}` is not a parameter"));
        }
    }
    // "The value of make_latest: one of true, false, legacy", as a string.
    let latest = &body["make_latest"];
    if !latest.is_null() && !["true", "false", "legacy"].contains(&latest.as_str().unwrap_or("")) {
        return Err(invalid("Release", "invalid", "make_latest"));
    }
    Ok(body)
}

fn create(asked: &Asked, state: &mut State) -> Answer {
    let body = match fields(asked, state) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(tag) = body["tag_name"].as_str() else {
        return invalid("Release", "missing_field", "tag_name");
    };
    let draft = body["draft"] == true;
    if !draft {
        state.forbid("a release was created that is public before it has its files".to_owned());
    }
    let tag = tag.to_owned();
    let id = state.add(&tag, draft, &[]);
    let release = state.releases.last_mut().unwrap();
    release.title = body["name"].as_str().unwrap_or_default().to_owned();
    // Forges change the ends of lines.
    release.notes = body["body"].as_str().unwrap_or_default().replace('\n', "\r\n");
    release.prerelease = body["prerelease"] == true;
    let release = state.releases.iter().find(|one| one.id == id).unwrap();
    Answer::new(201, release_json(&asked.base, release, state.digests))
}

fn update(asked: &Asked, id: &str, state: &mut State) -> Answer {
    let body = match fields(asked, state) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(at) = state.releases.iter().position(|one| one.id.to_string() == id) else {
        return Answer::message(404, "Not Found");
    };
    let release = state.releases[at].clone();
    let publishes = release.draft && body["draft"] == false;
    if publishes {
        // A tag that does not exist would be created.
        if !state.tags.contains_key(&release.tag) {
            state.forbid(format!("`{}` would be created", release.tag));
        }
        if state.releases.iter().any(|other| !other.draft && other.tag == release.tag) {
            return invalid("Release", "already_exists", "tag_name");
        }
        if body["prerelease"] == true && body["make_latest"] == "true" {
            return invalid("Release", "custom", "make_latest");
        }
        if release.assets.iter().any(|asset| asset.state != "uploaded") {
            state.forbid("a release was published with an incomplete file".to_owned());
        }
        if body["make_latest"] == "true" {
            state.latest = Some(release.tag.clone());
        }
    } else if !release.draft {
        state.forbid("a published release was changed".to_owned());
    }
    let immutable = state.immutable;
    let release = &mut state.releases[at];
    release.title = body["name"].as_str().unwrap_or(&release.title).to_owned();
    release.notes = body["body"].as_str().unwrap_or(&release.notes).to_owned();
    release.prerelease = body["prerelease"].as_bool().unwrap_or(release.prerelease);
    release.draft = body["draft"].as_bool().unwrap_or(release.draft);
    release.immutable |= publishes && immutable;
    Answer::new(200, release_json(&asked.base, &state.releases[at], state.digests))
}

/// "GitHub renames asset filenames that have special characters, non-alphanumeric characters, and leading or
/// trailing periods." <https://docs.github.com/rest/releases/assets#upload-a-release-asset>
fn renamed(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    let name: String = name.chars().map(|c| if plain(c) { c } else { '.' }).collect();
    name.trim_matches('.').to_owned()
}

fn upload(asked: &Asked, id: &str, state: &mut State) -> Answer {
    let Some(at) = state.releases.iter().position(|one| one.id.to_string() == id) else {
        return Answer::message(404, "Not Found");
    };
    let Some(name) = asked.query.get("name") else {
        return invalid("ReleaseAsset", "missing_field", "name");
    };
    if asked.header("content-type").is_empty() {
        return Answer::message(400, "Bad Content-Type");
    }
    // https://docs.github.com/code-security/supply-chain-security/understanding-your-software-supply-chain/immutable-releases
    if state.releases[at].immutable {
        return Answer::message(422, "Cannot upload assets to an immutable release.");
    }
    let name = renamed(name);
    if !state.releases[at].draft {
        state.forbid(format!("`{name}` was sent to a published release"));
    }
    if state.releases[at].assets.iter().any(|asset| asset.name == name) {
        return invalid("ReleaseAsset", "already_exists", "name");
    }
    // "When an upstream failure occurs, you will receive a 502 Bad Gateway status. This may leave an empty asset
    // with a state of `starter`."
    let fails = state.starters > 0;
    state.starters = state.starters.saturating_sub(1);
    let starter = fails || !asked.complete;
    let (asset_state, bytes) = if starter {
        ("starter", Vec::new())
    } else {
        ("uploaded", state.stored(asked.body.clone()))
    };
    let asset = Asset { id: state.id(), name, state: asset_state, bytes };
    state.releases[at].assets.push(asset.clone());
    if fails {
        return Answer::empty(502);
    }
    Answer::new(201, asset_json(&asked.base, &state.releases[at], &asset, state.digests))
}

/// Returns the positions of a release and of its asset.
fn find(id: &str, state: &State) -> Option<(usize, usize)> {
    state.releases.iter().enumerate().find_map(|(at, release)| {
        let asset = release.assets.iter().position(|asset| asset.id.to_string() == id)?;
        Some((at, asset))
    })
}

/// "Get a release asset": "set the Accept header of the request to application/octet-stream. The API will either
/// redirect the client to the location, or stream it directly if possible."
fn content(asked: &Asked, id: &str, state: &State) -> Answer {
    let Some((at, asset)) = find(id, state) else { return Answer::message(404, "Not Found") };
    let release = &state.releases[at];
    if release.draft && asked.access != Access::Write {
        return Answer::message(404, "Not Found");
    }
    let asset = &release.assets[asset];
    if asked.header("accept") != "application/octet-stream" {
        return Answer::new(200, asset_json(&asked.base, release, asset, state.digests));
    }
    Answer::redirect(format!("{}/storage/{}", asked.base, Digest::sha256(&asset.bytes).hex()))
}

fn delete_asset(id: &str, state: &mut State) -> Answer {
    let Some((at, asset)) = find(id, state) else { return Answer::message(404, "Not Found") };
    if state.releases[at].immutable {
        return Answer::message(422, "Cannot delete asset from an immutable release");
    }
    if !state.releases[at].draft {
        state.forbid("a file of a published release was deleted".to_owned());
    }
    state.releases[at].assets.remove(asset);
    Answer::empty(204)
}
