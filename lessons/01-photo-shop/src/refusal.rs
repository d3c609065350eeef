//! Why a request was not answered as asked.

use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

#[derive(Debug)]
pub enum Refusal {
    /// Nobody is logged in: off to the login page.
    LoginFirst,
    /// The form did not come from our own page.
    Forged,
    BadForm(String),
    /// The upload broke off, or is too large.
    Upload(MultipartError),
    WrongPassword,
    NotFound,
    SoldOut,
    /// Our own fault.
    Broken(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::LoginFirst => Redirect::to("/login").into_response(),
            Self::Forged => {
                (StatusCode::FORBIDDEN, "This form is stale: load the page again").into_response()
            }
            Self::BadForm(why) => (StatusCode::BAD_REQUEST, why).into_response(),
            Self::Upload(error) => error.into_response(),
            Self::WrongPassword => {
                (StatusCode::UNAUTHORIZED, "No customer has this name and password").into_response()
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing here").into_response(),
            Self::SoldOut => (StatusCode::CONFLICT, "There are not so many prints left").into_response(),
            Self::Broken(why) => {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("The shop broke: {why}")).into_response()
            }
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// An image that we cannot read is the sender's fault.
impl From<image::ImageError> for Refusal {
    fn from(error: image::ImageError) -> Self {
        Self::BadForm(format!("This is not a JPEG photo: {error}"))
    }
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Self {
        Self::Upload(error)
    }
}
