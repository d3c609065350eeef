//! `fissure split AREA`: the split app for real, behind the front door, to click through.

use fissure_facts::config::Config;
use fissure_facts::{Arrangement, Route};

use crate::cli::SplitArgs;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::up;

pub fn split(args: &SplitArgs) -> Result<Exit, Failure> {
    let project = Project::without_users(&args.project)?;
    let (role, routes) = area(&args.area, &project.config)?;
    up::serve(&project, &Arrangement::split(&role, &routes), &args.door)
}

/// An area of `fissure.toml` by its name, or routes, with commas between.
fn area(wanted: &str, config: &Config) -> Result<(String, Vec<Route>), Failure> {
    if let Some(routes) = config.areas.get(wanted) {
        return Ok((wanted.to_owned(), routes.clone()));
    }
    let routes: Result<Vec<Route>, _> = wanted.split(',').map(str::parse).collect();
    match routes {
        Ok(routes) => Ok((role(&routes), routes)),
        Err(_) => {
            let known: Vec<&str> = config.areas.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Failure::new(
                Exit::Usage,
                format!(
                    "`{wanted}` is neither an area of fissure.toml ([areas] names {known}) nor a route like \
                     'GET /photos/{{id}}'."
                ),
            ))
        }
    }
}

/// A word that can stand in the name of a variable (`PHOTOS_URL`).
fn role(routes: &[Route]) -> String {
    let segment = routes.iter().find_map(Route::first_segment).unwrap_or_default();
    let word: String = segment.chars().filter(char::is_ascii_alphanumeric).collect();
    if word.is_empty() || word == "web" { "area".to_owned() } else { word.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_a_name_or_routes() {
        let mut config = Config::default();
        config.areas.insert("thumbs".to_owned(), vec!["POST /photos".parse().unwrap()]);
        assert_eq!(area("thumbs", &config).unwrap().0, "thumbs");
        let (role, routes) = area("GET /photo-album/{id}, POST /x", &config).unwrap();
        assert_eq!((role.as_str(), routes.len()), ("photoalbum", 2));
        assert_eq!(area("GET /", &config).unwrap().0, "area");
        assert!(area("thumb", &config).is_err());
    }
}
