//! `GET /v1/sticker/pack/form/{count}`: forms for uploading a new pack of so many stickers and its manifest. 401; 400 for a
//! count that is not 1 to 201 (200 when the server is switched to the seed dialect); 404 for what is no count; 429.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::config::DialectSwitch;
use crate::http::extract::{Authenticated, Json, Segment, Segments};
use crate::http::problem::Problem;
use crate::limits;
use crate::limits::rates::Limit;
use crate::ports::objects::PostForm;
use crate::ports::{ObjectKey, ObjectsUnavailable, Upload};
use crate::state::Api;

/// How many stickers a pack may have.
pub const MAX_STICKERS: u16 = 201;

/// How many it may have where the OpenAPI document is taken at its word.
const SEED_STICKERS: u16 = 200;

/// How many stickers the pack will have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(u16);

impl Segment for Count {
    fn parse(text: &str) -> Result<Self, Problem> {
        let count: i64 = text.parse().map_err(|_| Problem::not_found())?;
        match u16::try_from(count) {
            Ok(count @ 1..=MAX_STICKERS) => Ok(Self(count)),
            _ => Err(Self::refused(MAX_STICKERS)),
        }
    }
}

impl Count {
    fn refused(most: u16) -> Problem {
        Problem::bad_parameter(format!("path param count must be between 1 and {most}"))
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StickerPackUploadForm)]
pub struct PackFormResponse {
    /// The pack: 16 random bytes in hex.
    pub pack_id: String,
    /// For its manifest.
    pub manifest: StickerForm,
    /// For its stickers, in order.
    pub stickers: Vec<StickerForm>,
}

/// A form for one object. It can be uploaded in either of two ways: as browsers send files (`key` to `signature`), or by
/// the resumable protocol of attachments (`cdn` to `signedUploadLocation`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StickerForm {
    /// Which sticker, from 0; −1 is the manifest.
    pub id: i32,
    /// As browsers send files.
    #[serde(flatten)]
    pub post: PostForm,
    /// Which way the resumable upload goes.
    pub cdn: u32,
    /// Headers that the resumable upload must have.
    pub headers: BTreeMap<String, String>,
    /// Where the resumable upload begins.
    pub signed_upload_location: String,
}

async fn form(
    api: &Api,
    id: i32,
    key: ObjectKey,
    max_bytes: u64,
) -> Result<StickerForm, ObjectsUnavailable> {
    let (upload, at) = (Upload { key, max_bytes }, api.clock.now());
    let post = api.uploads.post_form(&upload, at).await?;
    let resumable = api.uploads.form(&upload, at).await?;
    Ok(StickerForm {
        id,
        post,
        cdn: resumable.cdn,
        headers: resumable.headers,
        signed_upload_location: resumable.signed_upload_location,
    })
}

/// Forms for a pack of so many stickers, and its manifest.
pub(crate) async fn forms(api: &Api, count: u16) -> Result<PackFormResponse, ObjectsUnavailable> {
    let pack = api.entropy.bytes();
    let manifest = ObjectKey::sticker_manifest(pack);
    let manifest = form(api, -1, manifest, limits::STICKER_MANIFEST).await?;
    let mut stickers = Vec::with_capacity(usize::from(count));
    for index in 0..count {
        let key = ObjectKey::sticker(pack, index);
        stickers.push(form(api, index.into(), key, limits::STICKER).await?);
    }
    Ok(PackFormResponse {
        pack_id: hex::encode(pack),
        manifest,
        stickers,
    })
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Segments((Count(count),)): Segments<(Count,)>,
) -> Result<Json<PackFormResponse>, Problem> {
    if api.config.dialect == DialectSwitch::Seed && count > SEED_STICKERS {
        return Err(Count::refused(SEED_STICKERS));
    }
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::StickerPack, &account).await?;
    let forms = forms(&api, count).await;
    forms
        .map(Json)
        .map_err(|error| Problem::unavailable(&error))
}
