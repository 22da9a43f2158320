//! `attachments.Attachments`: where to upload what will be sent, and new packs of stickers.
//!
//! | status | when |
//! |---|---|
//! | 3 | a length of 0; no stickers, or more than 201 |
//! | 8 | too many forms, or forms for too many bytes |
//! | 14 | the object store does not answer |
//! | 16 | no or wrong credentials |
//!
//! That an attachment is too long is an outcome.

use tonic::{Request, Response, Status};

use super::call::DeviceCall;
use super::proto::attachments::attachments_server::Attachments;
use super::proto::attachments::get_upload_form_response::Outcome;
use super::proto::attachments::{
    GetStickerUploadFormRequest, GetStickerUploadFormResponse, GetUploadFormRequest,
    GetUploadFormResponse,
};
use super::proto::common::UploadForm;
use super::proto::errors::FailedPrecondition;
use super::{Door, status};
use crate::http::attachments::form::count;
use crate::http::stickers::form::forms;
use crate::limits::rates::Limit;
use crate::ports::objects::{ObjectKey, Upload};

#[tonic::async_trait]
impl Attachments for Door {
    async fn get_upload_form(
        &self,
        request: Request<GetUploadFormRequest>,
    ) -> Result<Response<GetUploadFormResponse>, Status> {
        let call = DeviceCall::of(request);
        let answer = |outcome| {
            Response::new(GetUploadFormResponse {
                outcome: Some(outcome),
            })
        };
        let length = call.message.upload_length;
        if length > self.0.config.attachment_bytes {
            let too_long = Outcome::ExceedsMaxUploadLength(FailedPrecondition::default());
            return Ok(answer(too_long));
        }
        let account = call.caller.aci.to_string();
        let counted = count(&self.0, &account, Some(length)).await;
        counted.map_err(|problem| status::of_problem(&problem))?;
        let upload = Upload {
            key: ObjectKey::attachment(self.0.entropy.bytes()),
            max_bytes: length,
        };
        let form = self.0.uploads.form(&upload, self.0.clock.now()).await;
        let form = form.map_err(|error| status::failed(&error))?;
        Ok(answer(Outcome::UploadForm(UploadForm {
            cdn: form.cdn,
            key: form.key,
            headers: form.headers.into_iter().collect(),
            signed_upload_location: form.signed_upload_location,
        })))
    }

    async fn get_sticker_upload_form(
        &self,
        request: Request<GetStickerUploadFormRequest>,
    ) -> Result<Response<GetStickerUploadFormResponse>, Status> {
        let call = DeviceCall::of(request);
        self.count_by_account(Limit::StickerPack, &call).await?;
        let count = u16::try_from(call.message.sticker_count)
            .map_err(|_| status::violated("sticker_count", "must be between 1 and 201"))?;
        let pack = forms(&self.0, count).await;
        let pack = pack.map_err(|error| status::failed(&error))?;
        Ok(Response::new(GetStickerUploadFormResponse {
            pack_id: pack.pack_id,
            manifest_upload_form: Some(pack.manifest.post.into()),
            sticker_upload_forms: pack.stickers.into_iter().map(|it| it.post.into()).collect(),
        }))
    }
}
