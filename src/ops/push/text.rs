//! The actions of a push, for people.

use std::collections::BTreeSet;

use crate::model::schema::{
    Push,
    push::{Repository as Told, Tag, TagOutcome},
};

/// Returns the actions of a `push`, for people.
pub fn text(push: &Push) -> String {
    let mut lines = Vec::new();
    for repository in &push.repositories {
        let Told { name, uploaded, present, written, attached, .. } = repository;
        lines.push(format!("{name}@{}", push.digest));
        for (what, list) in [("send", uploaded), ("keep", present), ("write", written)] {
            let kind = if what == "write" { "manifest" } else { "blob" };
            lines.extend(list.iter().map(|digest| format!("  {what:<5} {kind} {digest}")));
        }
        for of in attached {
            let what = if of.present { "keep " } else { "attach" };
            lines.push(format!("  {what} {} {}", of.artifact_type, of.digest));
        }
        let mut told = BTreeSet::new();
        for of in push.references.iter().filter(|of| of.repository == *name) {
            let Some(tag) = &of.tag else { continue };
            if told.insert(tag) {
                lines.push(match of.was {
                    Some(was) if was == push.digest => format!("  keep  tag {tag}"),
                    Some(was) => format!("  move  tag {tag} from {was}"),
                    None => format!("  write tag {tag}"),
                });
            }
        }
        for Tag { tag, outcome, reason, was, .. } in
            push.tags.iter().filter(|of| of.repository == *name)
        {
            let from = was.map_or(String::new(), |was| format!(" from {was}"));
            lines.push(match outcome {
                TagOutcome::Written => format!("  write tag {tag}: {reason}"),
                TagOutcome::Moved => format!("  move  tag {tag}{from}: {reason}"),
                TagOutcome::Kept | TagOutcome::Lost => format!("  keep  tag {tag}: {reason}"),
                TagOutcome::Refused => format!("  refuse tag {tag}: {reason}"),
            });
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
