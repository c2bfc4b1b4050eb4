catch {package require xml}
