//! Objects that clients put beside the server: attachments, avatars, stickers, archives. The server hands out forms and
//! never holds the bytes.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use events::Timestamp;
use serde::{Deserialize, Serialize};

/// Lets clients upload, and removes what nobody refers to any more.
#[async_trait]
pub trait ObjectUploads: Send + Sync + 'static {
    /// A form for an upload that may be interrupted and resumed.
    async fn form(&self, upload: &Upload, at: Timestamp) -> Result<UploadForm, ObjectsUnavailable>;

    /// A form for an upload in one POST, as browsers send files.
    async fn post_form(
        &self,
        upload: &Upload,
        at: Timestamp,
    ) -> Result<PostForm, ObjectsUnavailable>;

    /// Removes an object. One that is not there is removed already.
    async fn remove(&self, key: &ObjectKey) -> Result<(), ObjectsUnavailable>;
}

/// The object store could not be asked. Clients get 503.
#[derive(Debug, thiserror::Error)]
#[error("the object store is unavailable")]
pub struct ObjectsUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where it will be.
    pub key: ObjectKey,
    /// How many bytes it may have.
    pub max_bytes: u64,
}

/// The answer to whoever wants to upload something that may be large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AttachmentUploadForm)]
pub struct UploadForm {
    /// 3: a resumable upload by the tus protocol, with `POST`. 2: the whole object at once, with `PUT`.
    pub cdn: u32,
    /// What the object is called among its kind.
    pub key: String,
    /// Headers that the upload must have.
    pub headers: BTreeMap<String, String>,
    /// Where the upload begins.
    pub signed_upload_location: String,
}

/// The fields of a browser's form, by the rules of Amazon's S3 (version 4 of its signatures).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostForm {
    /// The object's path.
    pub key: String,
    /// Who signs, and within what.
    pub credential: String,
    /// `private`.
    pub acl: String,
    /// `AWS4-HMAC-SHA256`.
    pub algorithm: String,
    /// When it was signed: `yyyyMMddTHHmmssZ`.
    pub date: String,
    /// What may be uploaded: base64 of JSON.
    pub policy: String,
    /// HMAC over the policy, in hex.
    pub signature: String,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// What is sent with a message.
    Attachment,
    /// A profile's picture.
    Avatar,
    /// A sticker, or the manifest of a pack.
    Sticker,
    /// A backup, or a file of one.
    Archive,
}

impl ObjectKind {
    /// The folder that holds all of a kind.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Attachment => "attachments",
            Self::Avatar => "profiles",
            Self::Sticker => "stickers",
            Self::Archive => "backups",
        }
    }

    const ALL: [Self; 4] = [Self::Attachment, Self::Avatar, Self::Sticker, Self::Archive];

    /// How many segments the name of one has, and whether these may be their characters.
    fn admits(self, name: &str) -> bool {
        let segments: Vec<&str> = name.split('/').collect();
        match (self, segments.as_slice()) {
            (Self::Attachment | Self::Avatar, [one]) => is_random(one),
            (Self::Sticker, [pack, "manifest.proto"]) => is_pack(pack),
            (Self::Sticker, [pack, "full", index]) => {
                is_pack(pack) && index.parse::<u16>().is_ok_and(|n| n.to_string() == *index)
            }
            (Self::Archive, [directory, name]) => is_random(directory) && is_random(name),
            _ => false,
        }
    }
}

/// Base64 for URLs, of something that nobody guesses.
fn is_random(segment: &str) -> bool {
    let text = segment.trim_end_matches('=');
    segment.len() - text.len() <= 2
        && (16..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_pack(segment: &str) -> bool {
    segment.len() == 32
        && segment
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where an object is. There is no other way to name one, so nothing outside of the four folders can be read or written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    kind: ObjectKind,
    /// Without the folder.
    name: Box<str>,
}

/// Not the path of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of an object")]
pub struct NoSuchObject;

impl ObjectKey {
    /// A new attachment.
    pub fn attachment(random: [u8; 15]) -> Self {
        Self {
            kind: ObjectKind::Attachment,
            name: BASE64_URL_SAFE_NO_PAD.encode(random).into(),
        }
    }

    /// A new avatar.
    pub fn avatar(random: [u8; 16]) -> Self {
        Self {
            kind: ObjectKind::Avatar,
            name: BASE64_URL_SAFE.encode(random).into(),
        }
    }

    /// The manifest of a sticker pack.
    pub fn sticker_manifest(pack: [u8; 16]) -> Self {
        Self {
            kind: ObjectKind::Sticker,
            name: format!("{}/manifest.proto", hex::encode(pack)).into(),
        }
    }

    /// A sticker of a pack, counted from 0.
    pub fn sticker(pack: [u8; 16], index: u16) -> Self {
        Self {
            kind: ObjectKind::Sticker,
            name: format!("{}/full/{index}", hex::encode(pack)).into(),
        }
    }

    /// A file of a backup: `directory` is the backup's, `name` the file's, both in base64 for URLs.
    pub fn archive(directory: &str, name: &str) -> Result<Self, NoSuchObject> {
        let key = format!("{}/{directory}/{name}", ObjectKind::Archive.folder());
        key.parse()
    }

    /// The kind.
    pub const fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The name among its kind.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The path, which is also where it is downloaded: `<folder>/<name>`.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.folder(), self.name)
    }
}

impl std::str::FromStr for ObjectKey {
    type Err = NoSuchObject;

    fn from_str(path: &str) -> Result<Self, NoSuchObject> {
        let (folder, name) = path.split_once('/').ok_or(NoSuchObject)?;
        let kind = ObjectKind::ALL
            .into_iter()
            .find(|kind| kind.folder() == folder && kind.admits(name));
        kind.map(|kind| Self {
            kind,
            name: name.into(),
        })
        .ok_or(NoSuchObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = ObjectKey> {
        prop_oneof![
            any::<[u8; 15]>().prop_map(ObjectKey::attachment),
            any::<[u8; 16]>().prop_map(ObjectKey::avatar),
            any::<[u8; 16]>().prop_map(ObjectKey::sticker_manifest),
            any::<([u8; 16], u16)>().prop_map(|(pack, index)| ObjectKey::sticker(pack, index)),
            ("[A-Za-z0-9_-]{16,64}", "[A-Za-z0-9_-]{16,64}")
                .prop_map(|(directory, name)| ObjectKey::archive(&directory, &name).unwrap()),
        ]
    }

    #[test]
    fn paths_are_those_that_clients_know() {
        assert_eq!(
            ObjectKey::attachment([0; 15]).to_string(),
            "attachments/AAAAAAAAAAAAAAAAAAAA"
        );
        assert_eq!(
            ObjectKey::avatar([0; 16]).to_string(),
            "profiles/AAAAAAAAAAAAAAAAAAAAAA=="
        );
        let pack = "stickers/00000000000000000000000000000000";
        assert_eq!(
            ObjectKey::sticker_manifest([0; 16]).to_string(),
            format!("{pack}/manifest.proto")
        );
        assert_eq!(
            ObjectKey::sticker([0; 16], 7).to_string(),
            format!("{pack}/full/7")
        );
    }

    #[test]
    fn what_leads_out_of_the_folders_is_no_object() {
        for path in [
            "",
            "/",
            "attachments",
            "attachments/",
            "attachments/..",
            "attachments/../../../etc/passwd",
            "attachments/AAAAAAAAAAAAAAAA/../x",
            "/attachments/AAAAAAAAAAAAAAAAAAAA",
            "attachments//AAAAAAAAAAAAAAAAAAAA",
            "attachments/AAAAAAAAAAAAAAAAAAAA/",
            "attachments/AAAA%2e%2eAAAAAAAAAA",
            "uploads/AAAAAAAAAAAAAAAAAAAA/info",
            "stickers/00000000000000000000000000000000/full/01",
            "stickers/0000000000000000000000000000000G/full/1",
            "backups/AAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(path.parse::<ObjectKey>(), Err(NoSuchObject), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_key_is_the_path_it_is_written_as(key in any_key()) {
            prop_assert_eq!(key.to_string().parse::<ObjectKey>(), Ok(key));
        }

        #[test]
        fn no_path_that_is_taken_leads_anywhere_else(
            path in "((attachments|profiles|stickers|backups|uploads|\\.\\.)/)?([-A-Za-z0-9_=./%\\\\]{0,70}|\\PC*)"
        ) {
            if let Ok(key) = path.parse::<ObjectKey>() {
                prop_assert_eq!(key.to_string(), path.clone());
                for segment in path.split('/') {
                    prop_assert!(!segment.is_empty() && segment != "." && segment != "..");
                    prop_assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b)));
                }
            }
        }
    }
}
