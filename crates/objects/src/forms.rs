//! Forms for uploads: to this server, or to the operator's bucket.

use std::collections::BTreeMap;

use api::ports::objects::{
    ObjectKey, ObjectUploads, ObjectsUnavailable, PostForm, Upload, UploadForm,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use events::Timestamp;
use http::{HeaderName, HeaderValue, Method};
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use object_store::{Error, ObjectStoreExt as _};

use crate::place::{Direct, Provider};
use crate::policy::PolicySigner;
use crate::token::Grant;
use crate::{Objects, UPLOAD_LIFETIME};

/// A resumable upload to this server, by the tus protocol.
const CDN_TUS: u32 = 3;
/// An upload to a bucket.
const CDN_BUCKET: u32 = 2;

pub(crate) fn path(key: &ObjectKey) -> Path {
    Path::from(key.to_string())
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ObjectsUnavailable {
    ObjectsUnavailable(Box::new(error))
}

#[async_trait]
impl ObjectUploads for Objects {
    async fn form(&self, upload: &Upload, at: Timestamp) -> Result<UploadForm, ObjectsUnavailable> {
        match self.0.place.direct() {
            None => Ok(self.tus_form(upload, at)),
            Some(direct) => bucket_form(direct, upload).await.map_err(unavailable),
        }
    }

    async fn post_form(
        &self,
        upload: &Upload,
        at: Timestamp,
    ) -> Result<PostForm, ObjectsUnavailable> {
        let Some(Direct {
            provider: Provider::Amazon(amazon),
            ..
        }) = self.0.place.direct()
        else {
            return Ok(self.0.policies.sign(upload, at));
        };
        let credential = amazon.store.credentials().get_credential().await;
        let credential = credential.map_err(unavailable)?;
        let signer = PolicySigner {
            bucket: amazon.bucket.clone(),
            region: amazon.region.clone(),
            access_key: credential.key_id.clone(),
            secret: credential.secret_key.clone(),
            session_token: credential.token.clone(),
        };
        Ok(signer.sign(upload, at))
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), ObjectsUnavailable> {
        match self.store().delete(&path(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

impl Objects {
    fn tus_form(&self, upload: &Upload, at: Timestamp) -> UploadForm {
        let grant = Grant {
            key: upload.key.clone(),
            max_bytes: upload.max_bytes,
            until: at.plus(UPLOAD_LIFETIME),
        };
        let name = upload.key.name();
        let headers = [
            (
                "Authorization",
                format!("Bearer {}", grant.sign(&self.0.key)),
            ),
            (
                "Upload-Metadata",
                format!("filename {}", BASE64.encode(name)),
            ),
        ];
        UploadForm {
            cdn: CDN_TUS,
            key: name.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            signed_upload_location: format!(
                "{}/upload/{}",
                self.0.public_url,
                upload.key.kind().folder()
            ),
        }
    }
}

async fn bucket_form(direct: &Direct, upload: &Upload) -> object_store::Result<UploadForm> {
    let (method, signed): (_, Vec<(&'static str, String)>) = match direct.provider {
        Provider::Google => (
            Method::POST,
            vec![
                (
                    "x-goog-content-length-range",
                    format!("1,{}", upload.max_bytes),
                ),
                ("x-goog-resumable", "start".to_owned()),
            ],
        ),
        Provider::Amazon(_) | Provider::Microsoft => (Method::PUT, Vec::new()),
    };
    let mut options = SignedUrlOptions::new();
    for (name, value) in &signed {
        let value = HeaderValue::from_str(value).expect("digits and letters are a header");
        options = options.with_signed_header(HeaderName::from_static(name), value);
    }
    let path = path(&upload.key);
    let url = direct
        .signer
        .signed_url_opts(method, &path, UPLOAD_LIFETIME, &options)
        .await?;
    let mut headers: BTreeMap<String, String> = signed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    headers.insert(
        "host".to_owned(),
        url.host_str().unwrap_or_default().to_owned(),
    );
    if matches!(direct.provider, Provider::Microsoft) {
        headers.insert("x-ms-blob-type".to_owned(), "BlockBlob".to_owned());
    }
    Ok(UploadForm {
        cdn: CDN_BUCKET,
        key: upload.key.name().to_owned(),
        headers,
        signed_upload_location: url.into(),
    })
}
