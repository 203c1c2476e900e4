//! The actions of a push, for people.

use std::collections::BTreeSet;

use crate::model::schema::{
    Push,
    push::{Repository as Told, Tag, TagOutcome},
};

/// Returns the actions of a `push`, for people.
pub fn format_push(push: &Push) -> String {
    let mut lines = Vec::new();
    for repository in &push.repositories {
        let Told { name, uploaded, present, written, attached, .. } = repository;
        lines.push(format!("{name}@{}", push.digest));
        for (what, list) in [("send", uploaded), ("keep", present), ("write", written)] {
            let kind = if what == "write" { "manifest" } else { "blob" };
            lines.extend(list.iter().map(|digest| format!("  {what:<5} {kind} {digest}")));
        }
        for attachment in attached {
            let what = if attachment.present { "keep " } else { "attach" };
            lines.push(format!("  {what} {} {}", attachment.artifact_type, attachment.digest));
        }
        let mut reported = BTreeSet::new();
        for pushed in push.references.iter().filter(|reference| reference.repository == *name) {
            let Some(tag) = &pushed.tag else { continue };
            if reported.insert(tag) {
                lines.push(match pushed.was {
                    Some(was) if was == push.digest => format!("  keep  tag {tag}"),
                    Some(was) => format!("  move  tag {tag} from {was}"),
                    None => format!("  write tag {tag}"),
                });
            }
        }
        for Tag { tag, outcome, reason, was, .. } in
            push.tags.iter().filter(|tag| tag.repository == *name)
        {
            let from = was.map_or(String::new(), |was| format!(" from {was}"));
            lines.push(match outcome {
                TagOutcome::Written => format!("  write tag {tag}: {reason}"),
                TagOutcome::Moved => format!("  move  tag {tag}{from}: {reason}"),
                TagOutcome::Kept | TagOutcome::Lost => format!("  keep  tag {tag}: {reason}"),
                TagOutcome::Refused => format!("  reject tag {tag}: {reason}"),
            });
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
