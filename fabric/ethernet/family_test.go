package ethernet_test

import "bulkhead/site"

// Family is the family whose read-back this package decodes.
const Family = site.RoCE
