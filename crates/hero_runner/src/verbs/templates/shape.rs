//! How the module of a template is run: what `templates create` and `runtime add` both ask for.

use std::time::Duration;

use api::session::DirGrant;
use api::template::TemplateCreate;

use crate::cli::duration;
use crate::{grant, size};

#[derive(Debug, clap::Args)]
pub(crate) struct Shape {
    /// An argument for the program; once for each
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
    /// Set a variable, or pass on the one that is set here
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = grant::variable)]
    env: Vec<(String, String)>,
    /// Let the program use a folder: to read, or with :rw to write as well
    #[arg(long, value_name = "HOST[::GUEST][:ro|:rw]", value_parser = grant::dir)]
    dir: Vec<DirGrant>,
    /// The most memory that the program may use: 64M, 1G, or a number of MiB
    #[arg(long, value_name = "SIZE", value_parser = size::mebibytes)]
    memory: Option<u32>,
    /// Workers that stand ready at least
    #[arg(long, value_name = "COUNT")]
    min_spare: Option<u32>,
    /// Workers that stand ready at most
    #[arg(long, value_name = "COUNT")]
    max_spare: Option<u32>,
    /// Let its process go after this time without a session; the next session starts it again
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ttl: Option<Duration>,
}

impl Shape {
    /// A template of this module that is run so.
    pub(crate) fn request(self, name: String, module: String) -> TemplateCreate {
        TemplateCreate {
            name: Some(name),
            module,
            args: self.args,
            env_vars: self.env.into_iter().collect(),
            dirs: self.dir,
            memory_limit_mb: self.memory,
            min_spare: self.min_spare,
            max_spare: self.max_spare,
            ttl_s: self.ttl.map(whole_seconds),
            ..TemplateCreate::default()
        }
    }
}

/// A time in whole seconds, a part of one counted as one.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_not_none() {
        assert_eq!(whole_seconds(Duration::from_millis(500)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(600)), 600);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }
}
