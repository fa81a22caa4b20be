/*
 * faults_kafka.c: a Kafka that is away, and a world that says things twice, late and in another
 * order; under load, while the auditor looks.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/echo.h"
#include "support/harm.h"
#include "support/stack.h"

TestSuite(faults_kafka, .init = harm_attach, .timeout = 300);

Test(faults_kafka, kafka_away_for_long)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_kill("kafka"));
    harm_last(15);
    cr_assert(stack_up("kafka", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults_kafka, every_event_is_said_twice)
{
    struct echo *echo = echo_begin(stack_address("KAFKA_BOOTSTRAP"), 300);
    cr_assert_not_null(echo);
    struct traffic *traffic = harm_begin();
    harm_wait_accepted(traffic);
    harm_wait_accepted(traffic);
    cr_assert_gt(echo_end(echo), 2 * HARM_RATE);
    harm_end(traffic);
}

/* Members come and go: partitions and lanes change hands all the time. */
Test(faults_kafka, rebalances_in_a_loop)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 4; i++) {
        pid_t second = stack_second(i % 2 ? "inventory-svc" : "payment-svc", stack_free_port());
        cr_assert_gt(second, 0);
        harm_wait_accepted(traffic);
        kill(second, i < 2 ? SIGTERM : SIGKILL);
        waitpid(second, NULL, 0);
    }
    harm_end(traffic);
}

/* Both lose their session, and with it their lane, again and again: who is faster has it. */
Test(faults_kafka, two_fight_for_a_lane)
{
    struct traffic *traffic = harm_begin();
    pid_t second = stack_second("payment-svc", stack_free_port());
    cr_assert_gt(second, 0);
    cr_assert(CLOCK_UNTIL(30, db_int(DB_PAYMENT,
                                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                     " AND database = (SELECT oid FROM pg_database"
                                     " WHERE datname = current_database())",
                                     NULL) >= 2));
    for (int i = 0; i < 30; i++) {
        harm_end_sessions(DB_PAYMENT);
        clock_pause_ms(100);
    }
    harm_wait_accepted(traffic);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_end(traffic);
}
