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
  /// How long a host is without power.
  var downtimes: ClosedRange<Double> = 1...120
  /// Between times in which the relay cannot be reached, and how long they are.
  var outages: ClosedRange<Double> = 1_800...14_400
  var outageLengths: ClosedRange<Double> = 60...3_600
  /// Little room in queues, caches and tables.
  var isTight = false

  /// Between the questions of a node for its commands.
  var polling: Duration = .seconds(600)
  /// The longest wait before a node says again what was not answered.
  var longestRetry: Duration = .seconds(300)
  /// Seconds that a reading is good for: longer than any outage, and shorter than the span, so that times of expiry come.
  var readingLifetime: UInt64 = 3 * 3_600

  init(seed: UInt64) { self.seed = seed }

  /// A day of a home. One of three has little room.
  static func day(seed: UInt64, hours: Int = 24) -> SimulationPlan {
    var plan = SimulationPlan(seed: seed)
    plan.span = .seconds(hours * 3_600)
    plan.isTight = seed.isMultiple(of: 3)
    return plan
  }

  /// Twenty minutes in which everything happens more often.
  static func short(seed: UInt64) -> SimulationPlan {
    var plan = SimulationPlan(seed: seed)
    plan.span = .seconds(1_200)
    plan.commandLifetime = .seconds(320)
    plan.reporting = 100...500
    plan.commanding = 4...30
    plan.resetting = 20...120
    plan.powerCuts = 30...240
    plan.downtimes = 1...20
    plan.outages = 90...360
    plan.outageLengths = 20...150
    plan.polling = .seconds(150)
    plan.longestRetry = .seconds(60)
    plan.readingLifetime = 600
    plan.isTight = seed.isMultiple(of: 3)
    return plan
  }

  /// When nothing new is begun.
  var activeSpan: Duration { span - commandLifetime * 3 / 2 }
}
