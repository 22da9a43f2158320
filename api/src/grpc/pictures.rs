//! The part of `profile.ProfileAnonymous` that is about pictures: whoever shows a credential puts one in its place, asks where
//! it is, or takes it away. Nobody learns whose it is.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | a presentation that cannot be read |
//! | `GetAvatarUploadForm` | 8 | too many bytes for one picture |
//! | `GetAvatarUploadForm` | 14 | the object store does not answer |
//!
//! That a credential is not good, or that there is no picture, are outcomes. A picture that is replaced or taken away leaves
//! the object store because of the event.

use bytes::Bytes;
use commands::picture::{FindPicture, PlacePicture, RemovePicture};
use crypto::zk::avatar::Presentation;
use events::values::profile::{AvatarKey, PictureName};
use tonic::{Response, Status};

use super::call::{AnonymousCall, at};
use super::proto::common::S3UploadForm;
use super::proto::errors::{FailedZkAuthentication, NotFound};
use super::proto::profile::delete_avatar_response::Response as Deleted;
use super::proto::profile::extend_avatar_ttl_response::Response as Extended;
use super::proto::profile::get_avatar_upload_form_response::Response as Given;
use super::proto::profile::{
    DeleteAvatarRequest, DeleteAvatarResponse, ExtendAvatarTtlRequest, ExtendAvatarTtlResponse,
    GetAvatarUploadFormRequest, GetAvatarUploadFormResponse,
};
use super::{Door, status};
use crate::limits::rates::Limit;
use crate::ports::objects::{ObjectKey, PostForm, Upload};

impl From<PostForm> for S3UploadForm {
    fn from(form: PostForm) -> Self {
        Self {
            key: form.key,
            credential: form.credential,
            acl: form.acl,
            algorithm: form.algorithm,
            date: form.date,
            policy: form.policy,
            signature: form.signature,
        }
    }
}

impl Door {
    /// The picture that a credential is for; nothing if the credential is not good.
    async fn presented(&self, presentation: &Bytes) -> Result<Option<PictureName>, Status> {
        let shown = Presentation::parse(presentation).map_err(|_| {
            let field = "avatar_credentials_presentation";
            status::violated(field, "cannot be read")
        })?;
        let now = self.0.clock.now();
        let verified = self
            .0
            .issue(move |keys, _| shown.verify(&keys.chat, now))
            .await
            .map_err(|problem| status::of_problem(&problem))?;
        Ok(verified.ok().map(PictureName::from_bytes))
    }

    /// A form for a picture of so many bytes.
    pub(super) async fn picture_form(
        &self,
        random: [u8; 16],
        max_bytes: u64,
    ) -> Result<S3UploadForm, Status> {
        let upload = Upload {
            key: ObjectKey::avatar(random),
            max_bytes,
        };
        let form = self.0.uploads.post_form(&upload, self.0.clock.now()).await;
        Ok(form.map_err(|error| status::failed(&error))?.into())
    }

    pub(super) async fn place_picture(
        &self,
        call: AnonymousCall<GetAvatarUploadFormRequest>,
    ) -> Result<Response<GetAvatarUploadFormResponse>, Status> {
        let answer = |outcome| GetAvatarUploadFormResponse {
            response: Some(outcome),
        };
        let request = &call.message;
        let presentation = &request.avatar_credentials_presentation;
        let Some(name) = self.presented(presentation).await? else {
            let refused = Given::InvalidCredentialsPresentation(FailedZkAuthentication::default());
            return Ok(Response::new(answer(refused)));
        };
        let bytes = u64::from(request.upload_length);
        let bucket = name.to_string();
        let limits = &self.0.limits;
        let counted = limits.take_many(Limit::ProfileAvatarBytes, &bucket, bytes);
        counted.await.map_err(status::limited)?;
        let random = self.0.entropy.bytes();
        let form = self.picture_form(random, bytes).await?;
        let command = PlacePicture {
            name,
            key: AvatarKey::from_random(random),
        };
        let placed = self.0.executor.execute(&command, &call.context).await;
        let placed = status::decided(placed)?.unwrap_or_else(|never| match never {});
        let position = self.0.settled(&placed, &[]).await;
        Ok(at(position, answer(Given::AvatarUploadForm(form))))
    }

    pub(super) async fn find_picture(
        &self,
        call: AnonymousCall<ExtendAvatarTtlRequest>,
    ) -> Result<Response<ExtendAvatarTtlResponse>, Status> {
        let presentation = &call.message.avatar_credentials_presentation;
        let outcome = match self.presented(presentation).await? {
            None => Extended::InvalidCredentialsPresentation(FailedZkAuthentication::default()),
            Some(name) => {
                let command = FindPicture { name };
                let found = self.0.executor.execute(&command, &call.context);
                let found = status::decided(found.await)?.unwrap_or_else(|never| match never {});
                match found.done {
                    Some(key) => Extended::Path(key.to_string()),
                    None => Extended::NotFound(NotFound {}),
                }
            }
        };
        Ok(Response::new(ExtendAvatarTtlResponse {
            response: Some(outcome),
        }))
    }

    pub(super) async fn remove_picture(
        &self,
        call: AnonymousCall<DeleteAvatarRequest>,
    ) -> Result<Response<DeleteAvatarResponse>, Status> {
        let answer = |outcome| DeleteAvatarResponse {
            response: Some(outcome),
        };
        let presentation = &call.message.avatar_credentials_presentation;
        let Some(name) = self.presented(presentation).await? else {
            let refused =
                Deleted::InvalidCredentialsPresentation(FailedZkAuthentication::default());
            return Ok(Response::new(answer(refused)));
        };
        let command = RemovePicture { name };
        let removed = self.0.executor.execute(&command, &call.context);
        let removed = status::decided(removed.await)?.unwrap_or_else(|never| match never {});
        let position = self.0.settled(&removed, &[]).await;
        Ok(at(position, answer(Deleted::Success(()))))
    }
}
