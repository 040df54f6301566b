import Foundation
import Testing
import Wire

@Suite struct HomeSimulationTests {
  @Test("Seeds") func seeds() throws {
    let environment = ProcessInfo.processInfo.environment
    let hours = environment["HOURS"].flatMap { Int($0) }
    let seeds = (environment["SEEDS"] ?? "1-1").split(separator: "-").compactMap { UInt64($0) }
    for seed in seeds[0]...seeds[1] {
      var plan = SimulationPlan.short(seed: seed)
      if let hours {
        plan = SimulationPlan(seed: seed)
        plan.isTight = seed.isMultiple(of: 3)
        plan.span = .seconds(hours * 3600)
      }
      let simulation = try HomeSimulation(plan)
      let clock = ContinuousClock()
      let time = try clock.measure { try simulation.run() }
      let ledger = simulation.ledger
      print(
        seed, time, simulation.statistics, simulation.digest.value, ledger.reports.count,
        ledger.reports.values.filter(\.isTaken).count, ledger.commands.count)
      for problem in ledger.problems { print(problem) }
      #expect(ledger.problems.isEmpty)
    }
  }
}
