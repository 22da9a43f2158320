//! `challenge.Challenge`: a device answers a challenge.
//!
//! | status | when |
//! |---|---|
//! | 3 | no answer, or none in the form of a captcha |
//! | 8 | too many attempts, or too many that were right |
//! | 14 | the captcha cannot be judged at the moment |
//! | 16 | no or wrong credentials |
//!
//! That an answer is wrong is an outcome.

use commands::account::meet_challenge::MeetChallenge;
use events::account::ChallengeAnswer;
use http::StatusCode;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::proto::challenge::answer_challenge_request::Request as Answer;
use super::proto::challenge::challenge_server::Challenge;
use super::proto::challenge::{AnswerChallengeRequest, AnswerChallengeResponse};
use super::{Door, status};

#[tonic::async_trait]
impl Challenge for Door {
    async fn handle_challenge_response(
        &self,
        request: Request<AnswerChallengeRequest>,
    ) -> Result<Response<AnswerChallengeResponse>, Status> {
        let DeviceCall {
            caller,
            context,
            message,
            ..
        } = DeviceCall::of(request);
        let (answer, text) = match message.request {
            Some(Answer::Push(push)) => (ChallengeAnswer::Push, push.challenge),
            Some(Answer::Captcha(captcha)) => (ChallengeAnswer::Captcha, captcha.captcha),
            None => return Err(status::violated("request", "must be set")),
        };
        let right = self.0.judge(caller.aci, answer, &text).await;
        let right = right.map_err(|problem| match problem.status() {
            StatusCode::BAD_REQUEST => status::violated("captcha", "must be a captcha"),
            _ => status::of_problem(&problem),
        })?;
        if !right {
            return Ok(Response::new(AnswerChallengeResponse { success: false }));
        }
        let command = MeetChallenge {
            aci: caller.aci,
            device: caller.device,
            answer,
        };
        let met = self.0.executor.execute(&command, &context).await;
        let met = status::decided(met)?.unwrap_or_else(|never| match never {});
        self.0.spam.answered(caller.aci);
        let position = self.0.settled(&met, &[]).await;
        Ok(at(position, AnswerChallengeResponse { success: true }))
    }
}
