//! Tokens: requested from the server that the registry names (the Docker registry's "Token
//! Authentication Specification" and "OAuth2 Token Authentication").

use serde::Deserialize;
use ureq::http::Method;

use super::{Repository, answer::RegistryResponse, call::Payload, failure::RequestError};
use crate::{
    image::distribution::Credential,
    model::{error::Result, secret::Secret, url},
};

/// The largest answer of a token server.
const MAX_ANSWER: u64 = 1 << 20;

const PURPOSE: &str = "get a token";

#[derive(Deserialize)]
struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
}

impl Repository {
    /// Returns a token that is valid for `scope`.
    pub(super) fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Secret, RequestError> {
        let realm = self.realm(PURPOSE, realm)?;
        let found = self.credential()?;
        let answer = match found.map(|found| found.credential) {
            Some(Credential::Identity(token)) => {
                let mut form = format!(
                    "grant_type=refresh_token&client_id=longshore&scope={}&refresh_token={}",
                    url::encode(scope),
                    url::encode(token.reveal())
                );
                if let Some(service) = service {
                    form = format!("{form}&service={}", url::encode(service));
                }
                let kind = ("content-type", "application/x-www-form-urlencoded".to_owned());
                let mut payload = Payload::Bytes(form.as_bytes());
                self.request(&Method::POST, &realm, &[kind], None, &mut payload)
            }
            credential => {
                let mut address = realm;
                if let Some(service) = service {
                    address = url::with_parameter(&address, "service", service);
                }
                // One parameter: not every server reads several.
                address = url::with_parameter(&address, "scope", scope);
                let proof = credential.and_then(|credential| credential.basic());
                self.request(&Method::GET, &address, &[], proof.as_ref(), &mut Payload::None)
            }
        };
        let answer = answer.map_err(|failure| self.connection_error(PURPOSE, &failure))?;
        if !answer.succeeded() {
            return Err(self.status_error(PURPOSE, answer));
        }
        self.read_token(answer)
    }

    fn read_token(&self, mut answer: RegistryResponse) -> Result<Secret, RequestError> {
        let bad = |why: &str| self.error(PURPOSE, why);
        let bytes = answer
            .read(MAX_ANSWER)
            .map_err(|error| self.connection_error(PURPOSE, &error.into()))?;
        let bytes = bytes.ok_or_else(|| bad("the answer of the token server is too long"))?;
        let answered = serde_json::from_slice::<TokenResponse>(&bytes).ok();
        let token = answered.and_then(|answered| answered.token.or(answered.access_token));
        let fits =
            |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        let none = || bad("the answer of the token server has no token in it");
        Ok(Secret::new(token.filter(fits).ok_or_else(none)?))
    }
}
