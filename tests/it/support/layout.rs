//! Layouts on disk.

use std::{fs, path::Path};

use longshore::oci::{
    ImageSet, archive,
    layout::{Content, File, Name, files},
};

/// Writes `set` to `dir` under `tag`.
pub(crate) fn write(dir: &Path, set: &ImageSet, tag: &str) {
    for file in files(set, Some(Name { tag, image: None })).unwrap() {
        let path = dir.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match file.content {
            Content::Bytes(bytes) => fs::write(path, bytes).unwrap(),
            Content::Known(digest, _) => panic!("`{digest}` was not known"),
        }
    }
}

/// Writes `files` as an archive to `path`.
pub(crate) fn archive(path: &Path, files: &[File<'_>]) {
    let out = fs::File::create(path).unwrap();
    let mut open = |digest| panic!("`{digest}` was not known");
    archive::write(files, 0, &mut open, out).unwrap();
}
