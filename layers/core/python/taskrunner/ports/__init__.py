"""The ports: the needs of use cases for the world outside, in their own words.

A port and the adapter that implements it on AWS share a file name: `ports/runs.py` and
`adapters/runs.py`. `ports/sandbox.py` is implemented by the package `sandbox`. The port of executor
functions, which executors call too, is `executors.work.Functions`.

`ports.Runs` and the others here are for annotations. Code that needs a value at run time, such as
`RunSnapshot`, imports it from its module: all modules together would add 7 ms to each cold start.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.ports.approvals import Approvals as Approvals
    from taskrunner.ports.artifacts import Artifacts as Artifacts
    from taskrunner.ports.artifacts import Upload as Upload
    from taskrunner.ports.called_machines import CalledMachines as CalledMachines
    from taskrunner.ports.clock import Clock as Clock
    from taskrunner.ports.clock import Ids as Ids
    from taskrunner.ports.due_work import DueWork as DueWork
    from taskrunner.ports.events import Events as Events
    from taskrunner.ports.evidence import Evidence as Evidence
    from taskrunner.ports.evidence import Signed as Signed
    from taskrunner.ports.execution_links import ExecutionLinks as ExecutionLinks
    from taskrunner.ports.executions import Machines as Machines
    from taskrunner.ports.images import Registries as Registries
    from taskrunner.ports.jobs import Jobs as Jobs
    from taskrunner.ports.logs import Logs as Logs
    from taskrunner.ports.machine_counts import MachineCounts as MachineCounts
    from taskrunner.ports.machine_inventory import MachineInventory as MachineInventory
    from taskrunner.ports.metrics import Metrics as Metrics
    from taskrunner.ports.network import Networks as Networks
    from taskrunner.ports.notifications import Notifications as Notifications
    from taskrunner.ports.overrides import Overrides as Overrides
    from taskrunner.ports.page import Page as Page
    from taskrunner.ports.plans import Plans as Plans
    from taskrunner.ports.pools import Pools as Pools
    from taskrunner.ports.principals import Principals as Principals
    from taskrunner.ports.releases import Releases as Releases
    from taskrunner.ports.runs import Runs as Runs
    from taskrunner.ports.runs import RunSnapshot as RunSnapshot
    from taskrunner.ports.sandbox import Sandbox as Sandbox
    from taskrunner.ports.secrets import Secrets as Secrets
    from taskrunner.ports.settlements import Settlements as Settlements
    from taskrunner.ports.world import World as World
