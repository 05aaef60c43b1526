//! Mistakes, one a line: each in a small scenario, and where and how it is told.

use super::*;

/// (section that is replaced, by what, first line of the errors after "test:").
const MISTAKES: &[(&str, &str, &str)] = &[
    // The text.
    ("question", "", "1:1: a scenario needs \"question\""),
    ("question", r#""question": 'Q',"#, "2:13: '…' is not a JSON text"),
    ("question", r#""question": "Q?" "#, "3:1: '\"' is not expected here"),
    ("question", r#"question: "Q?","#, "2:1: 'q' is not expected here"),
    ("question", r#""question": nil,"#, "2:13: nil is not a JSON value"),
    ("question", r#""question": "Q?", // why"#, "2:19: '/' is not expected here"),
    ("question", "\"question\": \"Q?", "2:13: this text does not end on its line"),
    ("question", r#""question": "\x","#, "2:14: this escape is unknown"),
    ("question", r#""question": "\ud800","#, "2:14: this escape is half of a surrogate pair"),
    ("question", r#""question": "Q?", "question": "R?","#, "2:19: the key \"question\" is given twice"),
    ("duration", r#""duration": 5m,"#, "3:13: a number runs into letters"),
    ("duration", r#""duration": 05,"#, "3:13: 05 is not a JSON number"),
    ("expect", r#""expect": {},"#, "11:1: a comma stands before '}'"),
    ("expect", r#""expect": {}]"#, "10:13: ']' is not expected here"),
    // The top.
    ("question", r#""question": " ","#, "2:13: \"question\" is empty"),
    ("question", r#""question": 7,"#, "2:13: \"question\" cannot be 7"),
    ("question", r#""question": "Q?", "format": 2,"#, "2:29: the scenario has format 2, this build reads format 1"),
    ("question", r#""question": "Q?", "wramup": "60s","#, "2:19: a scenario has no key \"wramup\""),
    ("question", r#""question": "Q?", "warmup": "0s","#, "2:29: \"warmup\" cannot be \"0s\""),
    ("question", r#""question": "Q?", "rocketmq": "5.3.3","#, "2:31: RocketMQ 5.3.3 is not built: the 5.x rules"),
    ("question", r#""question": "Q?", "rocketmq": "latest","#, "2:31: \"rocketmq\" cannot be \"latest\""),
    ("question", r#""question": "Q?", "rules": {"commitUnfenced": true},"#, "2:29: there is no rule \"commitUnfenced\""),
    ("question", r#""question": "Q?", "seed": 1.5,"#, "2:27: \"seed\" cannot be 1.5"),
    ("question", r#""question": "Q?", "seed": -1,"#, "2:27: \"seed\" cannot be -1"),
    ("question", r#""question": "Q?", "seed": 18446744073709551616,"#, "2:27: \"seed\" cannot be 18446744073709551616"),
    (
        "question",
        r#""question": "Q?", "services": {"send": {"p50": "2ms", "p99": "1ms"}},"#,
        "2:40: \"send\" has a p99 below its p50",
    ),
    ("question", r#""question": "Q?", "services": {"brokers": {}},"#, "2:32: services has no key \"brokers\""),
    ("duration", "", "1:1: a scenario needs \"duration\""),
    ("duration", r#""duration": "0s","#, "3:13: \"duration\" cannot be \"0s\""),
    ("duration", r#""duration": 60,"#, "3:13: \"duration\" cannot be 60"),
    ("duration", r#""duration": "60","#, "3:13: \"duration\" cannot be \"60\""),
    ("duration", r#""duration": "-1m","#, "3:13: \"duration\" cannot be \"-1m\""),
    ("duration", r#""duration": "9999h","#, "3:13: \"duration\" cannot be \"9999h\""),
    ("duration", r#""duration": null,"#, "3:13: \"duration\" cannot be null"),
    // Nodes.
    ("nameservers", r#""nameservers": 0,"#, "4:16: \"nameservers\" cannot be 0"),
    ("nameservers", r#""nameservers": [],"#, "4:16: \"nameservers\" cannot be a list"),
    ("nameservers", r#""nameservers": "two","#, "4:16: \"nameservers\" cannot be \"two\""),
    ("nameservers", r#""nameservers": [{"name": "broker-a:0"}],"#, "5:13: the name \"broker-a:0\" is taken"),
    ("nameservers", r#""nameservers": [{"name": "a b"}],"#, "4:26: \"a b\" cannot be the name of a nameserver"),
    ("brokers", r#""brokers": [],"#, "5:12: the scenario has no brokers"),
    ("brokers", "", "1:1: a scenario needs \"brokers\""),
    ("brokers", r#""brokers": {"brokerName": "broker-a"},"#, "5:12: \"brokers\" cannot be an object"),
    ("brokers", r#""brokers": ["broker-a"],"#, "5:13: a broker cannot be \"broker-a\""),
    ("brokers", r#""brokers": [{}],"#, "5:13: a broker needs \"brokerName\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a"}, {"brokerName": "broker-a"}],"#,
        "5:41: there is already a broker \"broker-a\" with brokerId 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "brokerId": 1}],"#, "5:52: a master cannot have brokerId 1"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "brokerRole": "SLAVE", "brokerId": 0}],"#,
        "5:75: a SLAVE cannot have brokerId 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "brokerRole": "SLAVE"}],"#, "5:13: a SLAVE needs a brokerId"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushDiskType": "SYNC"}],"#,
        "5:57: \"flushDiskType\" cannot be \"SYNC\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushDisktype": "SYNC_FLUSH"}],"#,
        "5:40: a broker has no key \"flushDisktype\"",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "version": "4.9.3"}],"#, "5:51: RocketMQ 4.9.3 is not built"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "start": "-90s"}],"#,
        "5:49: \"start\" is \"-90s\", before the warm-up begins",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "start": "2h"}],"#,
        "5:49: \"start\" is \"120m\", after the end of the run",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "cpus": 0}],"#, "5:48: \"cpus\" cannot be 0"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushIntervalCommitLog": 0}],"#,
        "5:66: \"flushIntervalCommitLog\" cannot be 0",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "disk_used": "1GiB"}],"#,
        "5:53: \"disk_used\" means nothing without \"disk\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "disk": "1GiB", "disk_used": "2GiB"}],"#,
        "5:69: \"disk_used\" is 2147483648 bytes, of a disk of 1073741824",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "deleteWhen": "4am"}],"#, "5:54: \"deleteWhen\" cannot be \"4am\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "preferredLeaderId": "0"}],"#,
        "5:61: \"preferredLeaderId\" cannot be \"0\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "dledger.disk.ratio.clean": "85"}],"#,
        "5:68: \"dledger.disk.ratio.clean\" cannot be \"85\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "rocketmq.broker.diskSpaceCleanForciblyRatio": "85"}],"#,
        "5:87: \"rocketmq.broker.diskSpaceCleanForciblyRatio\" cannot be \"85\"",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "slaveTimeout": "1us"}],"#, "5:56: \"slaveTimeout\" cannot be \"1us\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "messageDelayLevel": "1s 5x"}],"#,
        "5:61: \"messageDelayLevel\" cannot be \"1s 5x\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "nameservers": "ns-7"}],"#,
        "5:55: \"ns-7\" names nothing in this scenario",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "nameservers": "cg-0"}],"#, "5:55: \"cg-0\" is no nameserver"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "dledger": {"group": "g", "index": 1}}],"#,
        "5:51: the DLedger group \"g\" has no node with index 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "host": ""}],"#, "5:48: \"\" cannot be the name of a host"),
    // Topics.
    ("topics", r#""topics": [{"name": "T", "queues": 0}],"#, "6:36: \"queues\" cannot be 0"),
    ("topics", r#""topics": [{"name": "T", "queues": 2000}],"#, "6:36: \"queues\" cannot be 2000"),
    (
        "topics",
        r#""topics": [{"name": "T", "queues": 4, "readQueueNums": 4}],"#,
        "6:39: \"queues\" and \"readQueueNums\" are given together",
    ),
    ("topics", r#""topics": [{"name": "T", "brokers": ["broker-c"]}],"#, "6:38: there is no brokerName \"broker-c\""),
    ("topics", r#""topics": [{"name": "T"}, {"name": "T"}],"#, "6:36: there is already a topic \"T\""),
    ("topics", r#""topics": [{"name": "T T"}],"#, "6:21: \"T T\" cannot be a topic"),
    ("topics", r#""topics": [{"name": "TBW102"}, {"name": "T"}],"#, "6:21: the topic \"TBW102\" is made by RocketMQ itself"),
    ("topics", r#""topics": [{"name": "T", "order": "broker-a"}],"#, "6:35: \"order\" cannot be \"broker-a\""),
    ("topics", r#""topics": [{"name": "T", "preload": {"age": "1h"}}],"#, "6:37: a preload needs \"messages\""),
    // Producers.
    ("producers", r#""producers": [{"group": "pg", "topic": "T"}],"#, "7:15: a producer needs \"rate\" or \"phases\""),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "0/s"}],"#,
        "7:53: \"rate\" is 0: nothing would be sent",
    ),
    ("producers", r#""producers": [{"group": "pg", "topic": "T", "rate": 10}],"#, "7:53: \"rate\" cannot be 10"),
    ("producers", r#""producers": [{"group": "pg", "topic": "T", "rate": "10/x"}],"#, "7:53: \"rate\" cannot be \"10/x\""),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "11000000/s"}],"#,
        "7:53: \"rate\" cannot be \"11000000/s\"",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/m"}],"#,
        "7:53: \"rate\" is not a whole number of messages in 1000 s",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "from": "30s", "until": "20s"}],"#,
        "7:84: the load from \"30s\" until \"20s\" is empty",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "until": "2m"}],"#,
        "7:69: the load from \"0s\" until \"2m\" leaves the run",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "phases": [{"rate": "1/s", "until": "30s"}, {"rate": "2/s", "from": "20s"}]}],"#,
        "7:89: the phase from \"20s\" begins before the one above has ended",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "keys": 4, "threads": 8}],"#,
        "7:82: \"threads\" is 8, and keyed sends use one thread",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "delay_level": 19}],"#,
        "7:75: \"delay_level\" is 19, and the brokers know 18 levels",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "SCHEDULE_TOPIC_XXXX", "rate": "1/s"}],"#,
        "7:40: RocketMQ's client refuses to send",
    ),
    (
        "producers",
        r#""producers": [{"group": "DEFAULT_PRODUCER", "topic": "T", "rate": "1/s"}],"#,
        "7:25: the group \"DEFAULT_PRODUCER\" is reserved by RocketMQ",
    ),
    ("producers", r#""producers": [{"group": "p g", "topic": "T", "rate": "1/s"}],"#, "7:25: \"p g\" cannot be a group"),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "count": 20001}],"#,
        "7:69: \"count\" cannot be 20001",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "count": 2, "name": "p"}],"#,
        "7:69: \"count\" is 2, and 1 name is given",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "name": "cg-1"}],"#,
        "8:15: the name \"cg-1\" is taken",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "starts": ["1s", "2s"]}],"#,
        "7:70: \"starts\" has 2 moments for 1 members",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "mode": "asynch"}],"#,
        "7:68: \"mode\" cannot be \"asynch\"",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "mode": "async", "transaction": {}}],"#,
        "7:68: transactional messages are sent",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "retryResponseCodes": ["SYSTEM_BUZY"]}],"#,
        "7:83: \"SYSTEM_BUZY\" is not a code that has a name here",
    ),
    // Consumers.
    ("consumers", r#""consumers": [{"group": "cg"}],"#, "8:15: a consumer needs \"topic\" or \"topics\""),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "TT"}],"#, "8:40: there is no topic \"TT\""),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "T", "tags": "||"}],"#, "8:53: \"||\" cannot be a tag expression"),
    ("consumers", r#""consumers": [{"group": "cg", "topics": ["T", "T"]}],"#, "8:47: \"T\" is subscribed to twice"),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "consumeThreadMin": 64}],"#,
        "8:65: consumeThreadMin (64) is larger than consumeThreadMax (20)",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullBatchSize": 1025}],"#,
        "8:62: \"pullBatchSize\" cannot be 1025",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullThresholdForTopic": 0}],"#,
        "8:70: \"pullThresholdForTopic\" cannot be 0",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullInterval": "66s"}],"#,
        "8:61: \"pullInterval\" cannot be \"66s\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "AVERAGE"}],"#,
        "8:77: there is no allocation strategy \"AVERAGE\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "MACHINE_ROOM"}],"#,
        "8:77: MACHINE_ROOM needs \"consumer_idcs\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "CONFIG"}],"#,
        "8:77: CONFIG needs \"config_queues\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "CONFIG", "config_queues": ["broker-z:0"]}],"#,
        "8:104: \"broker-z:0\" in \"config_queues\" is no queue",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "start_offset": {"consumed_percent": 50}}],"#,
        "8:61: \"start_offset\" is a share of what the topics are preloaded with",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "started": false, "start": "1s"}],"#,
        "8:56: \"started\" is false and a start is given too",
    ),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "T", "stay": {"for": "0s"}}],"#, "8:61: \"for\" cannot be \"0s\""),
    (
        "consumers",
        r#""consumers": [{"group": "DEFAULT_CONSUMER", "topic": "T"}],"#,
        "8:25: the group \"DEFAULT_CONSUMER\" is reserved",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "a", "topic": "T", "process": "app", "cpus": 2}, {"group": "b", "topic": "T", "process": "app", "cpus": 3}],"#,
        "8:129: \"cpus\" differs from what process \"app\" has already",
    ),
    // Faults.
    ("faults", r#""faults": [{"at": "10s", "kill": "broker-c:0"}],"#, "9:34: \"broker-c:0\" names nothing in this scenario"),
    ("faults", r#""faults": [{"at": "10s", "kill": "zebra*"}],"#, "9:34: \"zebra*\" names nothing in this scenario"),
    ("faults", r#""faults": [{"at": "10s", "kill": []}],"#, "9:34: \"kill\" cannot be a list"),
    ("faults", r#""faults": [{"at": "10s"}],"#, "9:12: a fault needs a verb"),
    ("faults", r#""faults": [{"kill": "cg"}],"#, "9:12: a fault needs \"at\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "freeze": "cg"}],"#,
        "9:40: a fault has one verb, and this has \"kill\" and \"freeze\"",
    ),
    ("faults", r#""faults": [{"at": "10s", "kil": "cg"}],"#, "9:12: a fault needs a verb"),
    ("faults", r#""faults": [{"at": "7m", "kill": "cg"}],"#, "9:19: \"at\" is \"7m\", after the end of the run"),
    ("faults", r#""faults": [{"at": "-61s", "kill": "cg"}],"#, "9:19: \"at\" is \"-61s\", before the warm-up begins"),
    ("faults", r#""faults": [{"at": 10, "kill": "cg"}],"#, "9:19: \"at\" cannot be 10"),
    ("faults", r#""faults": [{"at": "10s", "kill": "cg", "for": "0s"}],"#, "9:47: \"for\" cannot be \"0s\""),
    ("faults", r#""faults": [{"at": "10s", "kill": "cg", "for": "-5s"}],"#, "9:47: \"for\" cannot be \"-5s\""),
    ("faults", r#""faults": [{"at": "10s", "restart": "cg", "for": "5s"}],"#, "9:43: \"for\" means nothing to \"restart\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "for": "30s", "every": {"period": "20s", "times": 2}}],"#,
        "9:63: the fault strikes again before it has ended",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "every": {"period": "20s", "times": 100}}],"#,
        "9:49: \"every\" is \"1990s\", after the end of the run",
    ),
    ("faults", r#""faults": [{"at": "10s", "cut": {"between": ["cg"]}}],"#, "9:45: \"between\" cannot be a list"),
    ("faults", r#""faults": [{"at": "10s", "cut": {"from": "cg"}}],"#, "9:33: two sides are needed"),
    ("faults", r#""faults": [{"at": "10s", "cut": {"between": ["cg-0", "cg-0"]}}],"#, "9:33: both sides are one host"),
    ("faults", r#""faults": [{"at": "10s", "slow_disk": {"target": "broker-a"}}],"#, "9:39: this slow disk is not slow"),
    ("faults", r#""faults": [{"at": "10s", "freeze": "broker-a", "wipe": true}],"#, "9:48: \"wipe\" means nothing to \"freeze\""),
    ("faults", r#""faults": [{"at": "10s", "fsync": {"target": "broker-a"}}],"#, "9:35: this fsync neither fails nor lies"),
    (
        "faults",
        r#""faults": [{"at": "10s", "fsync": {"target": "broker-a", "fails": true, "lies": true}}],"#,
        "9:35: this fsync fails and lies",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "fsync": {"target": "broker-a", "fails": true, "keeps": "1s"}}],"#,
        "9:73: a disk that refuses keeps nothing",
    ),
    ("faults", r#""faults": [{"at": "10s", "fsync": {"target": "cg", "lies": true}}],"#, "9:46: \"cg-0\" is no broker"),
    ("faults", r#""faults": [{"at": "10s", "slow_link": {"between": ["cg", "pg"]}}],"#, "9:39: this slow link is not slow"),
    (
        "faults",
        r#""faults": [{"at": "10s", "fill_disk": {"target": "broker-a", "percent": 95}}],"#,
        "9:50: \"broker-a:0\" has no disk that could fill up",
    ),
    ("faults", r#""faults": [{"at": "10s", "fill_disk": {"target": "broker-a"}}],"#, "9:39: a full disk needs \"percent\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "clock_step": {"target": "cg", "by": "1us"}}],"#,
        "9:63: wall clocks are kept in whole milliseconds",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "intercept": {"from": "cg", "to": "broker-a", "code": "HEARTBEAT", "drop": true}}],"#,
        "9:80: \"HEARTBEAT\" is not a code",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "intercept": {"from": "cg", "to": "broker-a", "code": 34}}],"#,
        "9:39: an intercept has one action",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "hold": {"target": "cg-0", "step": "pull_suspend", "pause": "1ms"}}],"#,
        "9:45: \"cg-0\" is no broker",
    ),
    ("faults", r#""faults": [{"at": "10s", "update_topic": {"topic": "U", "queues": 3}}],"#, "9:52: there is no topic \"U\""),
    ("faults", r#""faults": [{"at": "10s", "update_topic": {"topic": "T"}}],"#, "9:42: this update changes nothing"),
    ("faults", r#""faults": [{"at": "10s", "wipe_write_perm": "broker-a:0"}],"#, "9:45: there is no brokerName \"broker-a:0\""),
    // Expectations.
    ("expect", r#""expect": {"lost": {}}"#, "10:20: \"lost\" has no bound"),
    ("expect", r#""expect": {"lost": 0}"#, "10:20: an expectation cannot be 0"),
    ("expect", r#""expect": {"lost": {"max": 0.5}}"#, "10:28: \"max\" cannot be 0.5"),
    ("expect", r#""expect": {"lost": {"max": "soon"}}"#, "10:28: \"max\" cannot be \"soon\""),
    ("expect", r#""expect": {"lost": {"min": 2, "max": 1}}"#, "10:28: \"min\" is above \"max\" for \"lost\""),
    ("expect", r#""expect": {"lost@gc": {"max": 0}}"#, "10:12: \"gc\" is no group, producer or consumer"),
    ("expect", r#""expect": {"lost": {"max": 0, "needs_fault": 0}}"#, "10:46: there is no fault 0"),
    (
        "expect",
        r#""expect": {"lost": {"max": 0}}, "links": {"rto_first": "200s"}"#,
        "10:56: \"rto_first\" is longer than \"rto_max\"",
    ),
    ("expect", r#""expect": {}, "links": {"between": [{"from": "cg", "to": "pg"}]}"#, "10:37: this link changes nothing"),
];

#[test]
fn mistakes_point_at_the_line() {
    let mut wrong = Vec::new();
    for (key, line, want) in MISTAKES {
        match parsed(&changed(key, line)) {
            Ok(_) => wrong.push(format!("{line}\n  loads; want {want}")),
            Err(errors) => {
                let text = errors.to_string();
                let first = text.lines().next().unwrap_or_default();
                if !first.starts_with(&format!("test:{want}")) {
                    wrong.push(format!("{line}\n  got  {first}\n  want test:{want}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parsed(&changed("", "")).is_ok());
}

#[test]
fn whole_blocks_of_errors_read_well() {
    let text = changed("faults", r#""faults": [{"at": "10s", "kil": "broker-c:0", "for": 90}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:9:12: a fault needs a verb\n  \
         expected one of kill, lose_host, freeze, shutdown, restart, rolling_restart, start, promote, cut, slow_link, slow_disk, fill_disk, fsync, clock_step, \
         clock_drift, reset, intercept, hold, update_topic, wipe_write_perm\n\
         test:9:26: a fault has no key \"kil\"\n  did you mean \"kill\"?\n\
         test:9:54: \"for\" cannot be 90\n  expected a duration such as \"30s\" or \"1.5ms\""
    );
    let text = changed("consumers", r#""consumers": [{"group": "cg", "topic": "T", "persistConsumerOffsetIntervall": "1s"}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:8:45: a consumer has no key \"persistConsumerOffsetIntervall\"\n  did you mean \"persistConsumerOffsetInterval\"?"
    );
    // Keys that a section shares with others are named too.
    let text = changed("faults", r#""faults": [{"at": "10s", "cut": {"zzz": 1, "from": "cg", "to": "pg"}}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:9:34: a cut has no key \"zzz\"\n  expected one of between, from, to"
    );
    let cut = parsed("{\"question\": \"Q?\",\n \"brokers\": [{\"brokerName\"").unwrap_err().to_string();
    assert_eq!(
        cut,
        "test:2:27: the end of the file is not expected here\n  expected ':' after the key\n  \
         the '{' of line 2, column 14 is still open: is the file cut off?"
    );
}
