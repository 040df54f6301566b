import Wire

/// How long a home is simulated, and what happens to it.
struct SimulationPlan {
  var seed: UInt64
  /// All of it, the quiet end included.
  var span: Duration = .seconds(24 * 3_600)
  /// Commands are for so long; half as much again is the quiet end, in which everything is to be settled.
  var commandLifetime: Duration = .seconds(3_600)
  /// Per cent of frames, acknowledgments too, that are not heard.
  var loss = 30
  /// Per cent of frames that are heard twice.
  var duplication = 2
  /// Per cent of frames that come late, behind others.
  var lateness = 2
  /// Readings of a node come so often, at random.
  var reporting: ClosedRange<Double> = 900...3_600
  /// Commands of the owner come so often.
  var commanding: ClosedRange<Double> = 60...420
  /// Between resets of nodes, whichever.
  var resetting: ClosedRange<Double> = 60...1_200
  /// Between losses of power of gateway, relay or owner.
  var powerCuts: ClosedRange<Double> = 600...7_200
  /// Between times in which the relay cannot be reached, and how long they are.
  var outages: ClosedRange<Double> = 1_800...14_400
  var outageLengths: ClosedRange<Double> = 60...3_600
  /// Little room in queues, caches and tables.
  var isTight = false

  init(seed: UInt64) { self.seed = seed }

  /// The same in little time.
  static func short(seed: UInt64) -> SimulationPlan {
    var plan = SimulationPlan(seed: seed)
    plan.span = .seconds(3_600)
    plan.commandLifetime = .seconds(900)
    plan.reporting = 120...600
    plan.commanding = 5...40
    plan.resetting = 20...200
    plan.powerCuts = 60...900
    plan.outages = 300...1_200
    plan.outageLengths = 30...300
    plan.isTight = seed.isMultiple(of: 3)
    return plan
  }

  /// When nothing new is begun.
  var activeSpan: Duration { span - commandLifetime * 3 / 2 }
}
