//! Which prefix belongs to which target.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;

use crate::target::Target;

/// Where requests go; shared with who changes it.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<Table>>);

#[derive(Default)]
struct Table {
    routes: BTreeMap<Box<str>, Arc<Route>>,
    /// How many segments the longest prefix has.
    depth: usize,
}

/// One row of the table.
pub(crate) struct Route {
    /// Without slashes around it.
    pub(crate) prefix: Arc<str>,
    /// With the slash before it, for `X-Forwarded-Prefix`; none if it is no text for a header.
    pub(crate) forwarded: Option<HeaderValue>,
    pub(crate) target: Arc<dyn Target>,
}

impl Routes {
    /// Sends what is under `/prefix` to the target from now on; slashes around it do not matter. A prefix matches raw
    /// segments of a path, byte for byte; an empty one matches nothing.
    pub fn set(&self, prefix: &str, target: Arc<dyn Target>) {
        let prefix = prefix.trim_matches('/');
        let forwarded = HeaderValue::from_str(&format!("/{prefix}")).ok();
        let route = Arc::new(Route { prefix: prefix.into(), forwarded, target });
        self.change(|routes| routes.insert(prefix.into(), route));
    }

    /// Nothing is under `/prefix` any more; requests that are under way are not disturbed.
    pub fn remove(&self, prefix: &str) {
        self.change(|routes| routes.remove(prefix.trim_matches('/')));
    }

    /// The prefix and the target for a request's path: the longest prefix of whole segments wins.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(Arc<str>, Arc<dyn Target>)> {
        self.route(path).map(|route| (route.prefix.clone(), route.target.clone()))
    }

    /// All prefixes with the names of their targets, in order.
    #[must_use]
    pub fn names(&self) -> Vec<(String, String)> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let name = |route: &Arc<Route>| (route.prefix.to_string(), route.target.name().to_owned());
        table.routes.values().map(name).collect()
    }

    pub(crate) fn route(&self, path: &str) -> Option<Arc<Route>> {
        let path = path.strip_prefix('/')?;
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).take(table.depth);
        // The longest is the last; an empty prefix is none.
        ends.filter(|end| *end > 0).filter_map(|end| table.routes.get(&path[..end])).last().cloned()
    }

    fn change<T>(&self, how: impl FnOnce(&mut BTreeMap<Box<str>, Arc<Route>>) -> T) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // What was replaced is dropped after the lock: its target may well come back here.
        let replaced = how(&mut table.routes);
        table.depth = table.routes.keys().map(|prefix| prefix.split('/').count()).max().unwrap_or_default();
        drop(table);
        drop(replaced);
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Admission;

    struct Named(&'static str);

    impl Target for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn admit(&self) -> Admission {
            Admission::Later(Box::pin(std::future::pending()))
        }
    }

    fn routes(prefixes: &[&'static str]) -> Routes {
        let routes = Routes::default();
        for prefix in prefixes {
            routes.set(prefix, Arc::new(Named(prefix)));
        }
        routes
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let routes = routes(&["api", "api/v2", "/shop/", ""]);
        let found = |path: &str| routes.find(path).map(|(prefix, _)| prefix.to_string());
        for (path, prefix) in [
            ("/api", Some("api")),
            ("/api/", Some("api")),
            ("/api/v2", Some("api/v2")),
            ("/api/v2/x/y", Some("api/v2")),
            ("/api/v20", Some("api")),
            ("/api//v2", Some("api")),
            ("/apis", None),
            ("/API", None),
            ("//api", None),
            ("/x/api", None),
            ("/shop/cart", Some("shop")),
            ("api", None),
            ("*", None),
        ] {
            assert_eq!(found(path).as_deref(), prefix, "{path}");
        }
    }

    #[test]
    fn what_is_removed_is_not_found() {
        let routes = routes(&["api", "api/v2"]);
        routes.remove("/api/v2/");
        assert_eq!(routes.find("/api/v2").unwrap().1.name(), "api");
        routes.remove("api");
        assert!(routes.find("/api/v2").is_none());
        assert!(routes.names().is_empty());
    }
}
