//! `credentials.Credentials`: what a device shows to others in the place of its password.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the account is gone |
//! | `GetExternalServiceCredentials`, `GetCreateCallLinkCredentials` | 8 | too many of them |
//! | `GetExternalServiceCredentials` | 3 | no such service |
//! | `GetDeliveryCertificate` | 3 | the account has no identity key |
//! | `GetGroupCredentials` | 3 | days that are not given out |
//! | `GetCreateCallLinkCredentials` | 3 | a request that cannot be read |

use crypto::zk::Day;
use crypto::zk::call_link::CreateRequest;
use tonic::{Request, Response, Status};

use super::call::DeviceCall;
use super::proto::credentials::credentials_server::Credentials;
use super::proto::credentials::{
    CredentialAndRedemptionTime, ExternalServiceType, GetCreateCallLinkCredentialsRequest,
    GetCreateCallLinkCredentialsResponse, GetDeliveryCertificateRequest,
    GetDeliveryCertificateResponse, GetExternalServiceCredentialsRequest,
    GetExternalServiceCredentialsResponse, GetGroupCredentialsRequest, GetGroupCredentialsResponse,
};
use super::{Door, status};
use crate::issuing::delivery::NoCertificate;
use crate::issuing::group::NoCredentials;
use crate::limits::rates::Limit;

fn daily(issued: Vec<(Day, Vec<u8>)>) -> Vec<CredentialAndRedemptionTime> {
    let one = |(day, credential): (Day, Vec<u8>)| CredentialAndRedemptionTime {
        credential: credential.into(),
        redemption_time_seconds: day.seconds(),
    };
    issued.into_iter().map(one).collect()
}

fn no_certificate(none: NoCertificate) -> Status {
    match none {
        NoCertificate::NoSuchAccount => status::invalid_credentials(),
        NoCertificate::NoIdentityKey => status::constraint("the account has no identity key"),
        NoCertificate::NoNumber => status::constraint("the account has no number"),
        NoCertificate::Unavailable(error) => status::unanswered(error),
    }
}

#[tonic::async_trait]
impl Credentials for Door {
    async fn get_external_service_credentials(
        &self,
        request: Request<GetExternalServiceCredentialsRequest>,
    ) -> Result<Response<GetExternalServiceCredentialsResponse>, Status> {
        let call = DeviceCall::of(request);
        let services = &self.0.issuing.keys.external;
        let service = match call.message.external_service() {
            ExternalServiceType::Directory => &services.directory,
            ExternalServiceType::Payments => &services.payments,
            ExternalServiceType::Storage => &services.storage,
            ExternalServiceType::Svr => &services.svr2,
            ExternalServiceType::Unspecified => {
                return Err(status::violated("externalService", "must be specified"));
            }
        };
        self.count_by_account(Limit::ExternalServiceCredentials, &call)
            .await?;
        let credentials = service.issue(call.caller.aci, self.0.clock.now());
        Ok(Response::new(GetExternalServiceCredentialsResponse {
            username: credentials.username,
            password: credentials.password,
        }))
    }

    /// Both certificates, so that nobody learns which is wanted.
    async fn get_delivery_certificate(
        &self,
        request: Request<GetDeliveryCertificateRequest>,
    ) -> Result<Response<GetDeliveryCertificateResponse>, Status> {
        let call = DeviceCall::of(request);
        let with_number = match self.0.sender_certificate(call.caller, true).await {
            Ok(certificate) => certificate,
            Err(NoCertificate::NoNumber) => Vec::new(),
            Err(none) => return Err(no_certificate(none)),
        };
        let without = self.0.sender_certificate(call.caller, false).await;
        Ok(Response::new(GetDeliveryCertificateResponse {
            certificate_with_e164: with_number.into(),
            certificate_without_e164: without.map_err(no_certificate)?.into(),
        }))
    }

    async fn get_group_credentials(
        &self,
        request: Request<GetGroupCredentialsRequest>,
    ) -> Result<Response<GetGroupCredentialsResponse>, Status> {
        let call = DeviceCall::of(request);
        let (start, end) = (
            call.message.redemption_start_seconds,
            call.message.redemption_end_seconds,
        );
        let issued = self.0.daily_credentials(call.caller.aci, start, end).await;
        let issued = issued.map_err(|none| match none {
            NoCredentials::Range(range) => status::constraint(range.to_string()),
            NoCredentials::NoSuchAccount => status::invalid_credentials(),
            NoCredentials::Unavailable(error) => status::unanswered(error),
            NoCredentials::Problem(problem) => status::of_problem(&problem),
        })?;
        Ok(Response::new(GetGroupCredentialsResponse {
            group_credentials: daily(issued.group),
            call_link_auth_credentials: daily(issued.call_link),
            pni: issued.pni.as_bytes().to_vec().into(),
        }))
    }

    async fn get_create_call_link_credentials(
        &self,
        request: Request<GetCreateCallLinkCredentialsRequest>,
    ) -> Result<Response<GetCreateCallLinkCredentialsResponse>, Status> {
        let call = DeviceCall::of(request);
        self.count_by_account(Limit::CreateCallLink, &call).await?;
        let request = CreateRequest::parse(&call.message.credential_request)
            .map_err(|_| status::violated("credential_request", "cannot be read"))?;
        let issued = self.0.call_link_credential(call.caller.aci, &request).await;
        let (day, credential) = issued.map_err(|problem| status::of_problem(&problem))?;
        Ok(Response::new(GetCreateCallLinkCredentialsResponse {
            credential: credential.into(),
            redemption_time_seconds: day.seconds(),
        }))
    }
}
